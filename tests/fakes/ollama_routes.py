"""Ollama's generation and embedding endpoints."""

import string
import time
from collections.abc import Mapping
from typing import Any

from tests.fakes.answer import Answer, go_whole, ndjson
from tests.fakes.ask import Ask
from tests.fakes.embedding import shortened, vector
from tests.fakes.ollama_checks import (
    check_capabilities,
    check_generation,
    check_images,
    check_messages,
    known_model,
    native_fields,
)
from tests.fakes.persona import FakeModel, Persona
from tests.fakes.refusal import Refusal
from tests.fakes.reply import Reply, completion_of, reply_to

_CALL_ID = string.ascii_lowercase + string.digits
_PULL_HINT = ", try pulling it first"
_NO_EMBEDDINGS = "This server does not support embeddings. Start it with `--embeddings`"


def now() -> str:
    """RFC 3339 with up to nine fraction digits, trailing zeros dropped, as Go prints it."""
    seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
    fraction = f".{nanos:09d}".rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + fraction + "Z"


def chat(persona: Persona, ask: Ask) -> Answer:
    fields = native_fields(ask)
    model = known_model(persona, fields.get("model"))
    messages = fields.get("messages") or []
    check_generation(fields)
    check_messages(messages)
    check_capabilities(model, fields, verb="chat")
    if not messages:
        return _loaded(fields, {"message": {"role": "assistant", "content": ""}})
    reply = reply_to(persona, fields, think=fields.get("think") is not False, limit=_limit(fields))
    said: list[dict[str, Any]] = [{"content": "", "thinking": piece} for piece in reply.thinking]
    said += [{"content": piece} for piece in reply.content]
    if reply.tool:
        said.append({"content": "", "tool_calls": [_tool_call(persona, reply)]})
    parts = [{"message": {"role": "assistant", **part}} for part in said]
    return _told(
        persona, ask, fields=fields, reply=reply, parts=parts, empty={"message": {"role": "assistant", "content": ""}}
    )


def generate(persona: Persona, ask: Ask) -> Answer:
    fields = native_fields(ask)
    model = known_model(persona, fields.get("model") or "") if fields.get("model") else None
    if model is None:
        raise Refusal(404, "model '' not found")
    check_generation(fields)
    check_images(fields.get("images") or [])
    if not fields.get("prompt") and fields.get("keep_alive") == 0:
        return _loaded(fields, {"response": ""})
    check_capabilities(model, fields, verb="generate")
    if fields.get("raw") and any(fields.get(name) for name in ("template", "system", "context")):
        raise Refusal(400, "raw mode does not support template, system, or context")
    prompt = fields.get("prompt") or ""
    if not prompt:
        return _loaded(fields, {"response": ""})
    reply = completion_of(persona, f"{prompt} {fields.get('suffix') or ''}", limit=_limit(fields))
    parts = [{"response": piece} for piece in reply.content]
    return _told(persona, ask, fields=fields, reply=reply, parts=parts, empty={"response": ""})


def embed(persona: Persona, ask: Ask) -> Answer:
    fields = native_fields(ask)
    if not fields.get("model"):
        raise Refusal(404, "model '' not found")
    model = known_model(persona, fields["model"], quote='"', hint=_PULL_HINT)
    given = fields.get("input")
    texts = [given] if isinstance(given, str) and given else given or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refusal(400, "invalid input type")
    _check_embeds(model)
    if not texts:
        return go_whole({"model": fields["model"], "embeddings": []})
    dimensions = fields.get("dimensions")
    vectors = [shortened(vector(text, model.embedding_length), dimensions) for text in texts]
    counted = {"prompt_eval_count": sum(len(text.split()) for text in texts)}
    metrics = {"total_duration": 14_143_917, "load_duration": 1_019_500, **counted}
    told = _without_zeros(metrics) if persona.counts else {}
    return go_whole({"model": fields["model"], "embeddings": vectors, **told})


def embeddings(persona: Persona, ask: Ask) -> Answer:
    """The legacy endpoint: one prompt, and vectors that nobody normalised."""
    fields = native_fields(ask)
    model = known_model(persona, fields.get("model"), quote='"', hint=_PULL_HINT)
    _check_embeds(model)
    prompt = fields.get("prompt") or ""
    values = vector(prompt, model.embedding_length) if prompt else []
    return go_whole({"embedding": [2 * value for value in values]})


def _told(
    persona: Persona,
    ask: Ask,
    *,
    fields: Mapping[str, Any],
    reply: Reply,
    parts: list[dict[str, Any]],
    empty: dict[str, Any],
) -> Answer:
    done = {"done": True, "done_reason": reply.finish, **(_metrics(reply) if persona.counts else {})}
    if fields.get("stream") is False or ask.whole:
        return go_whole({**_head(fields), **_folded(parts, empty), **done})
    lines = [{**_head(fields), **part, "done": False} for part in parts]
    return ndjson([*lines, {**_head(fields), **empty, **done}], ending=1)


def _folded(parts: list[dict[str, Any]], empty: dict[str, Any]) -> dict[str, Any]:
    if "response" in empty:
        return {"response": "".join(part["response"] for part in parts)}
    messages = [part["message"] for part in parts]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(m["content"] for m in messages)}
    thinking = "".join(m.get("thinking", "") for m in messages)
    calls = [call for m in messages for call in m.get("tool_calls", [])]
    if thinking:
        message["thinking"] = thinking
    if calls:
        message["tool_calls"] = calls
    return {"message": message}


def _loaded(fields: Mapping[str, Any], empty: Mapping[str, Any]) -> Answer:
    """One plain object even when a stream was asked for."""
    reason = "unload" if fields.get("keep_alive") == 0 else "load"
    return go_whole({**_head(fields), **empty, "done": True, "done_reason": reason})


def _head(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": fields["model"], "created_at": now()}


def _metrics(reply: Reply) -> dict[str, int]:
    return _without_zeros(
        {
            "total_duration": 482_517_209,
            "load_duration": 21_301_417,
            "prompt_eval_count": reply.prompt_tokens,
            "prompt_eval_duration": 1_000_000 * reply.prompt_tokens,
            "eval_count": reply.completion_tokens,
            "eval_duration": 10_000_000 * reply.completion_tokens,
        }
    )


def _without_zeros(metrics: Mapping[str, int]) -> dict[str, int]:
    return {name: value for name, value in metrics.items() if value}


def _tool_call(persona: Persona, reply: Reply) -> dict[str, Any]:
    function = {"index": 0, "name": reply.tool, "arguments": reply.arguments}
    return {"id": f"call_{persona.token(8, _CALL_ID)}", "function": function}


def _limit(fields: Mapping[str, Any]) -> int | None:
    limit = (fields.get("options") or {}).get("num_predict")
    return None if limit is None else int(limit)


def _check_embeds(model: FakeModel) -> None:
    if "embedding" not in model.capabilities:
        raise Refusal(501, _NO_EMBEDDINGS)

"""The /v1 endpoints, with the manners of whichever server is being faked."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes import openai_chunks
from tests.fakes.answer import Answer, sse, whole
from tests.fakes.ask import Ask, json_fields
from tests.fakes.embedding import as_base64, shortened, vector
from tests.fakes.persona import FakeModel, Persona, full_name
from tests.fakes.refusal import Refusal
from tests.fakes.reply import Reply, completion_of, prefill_of, reply_to

_CREATED = 1_790_000_000


def chat(persona: Persona, ask: Ask) -> Answer:
    fields = json_fields(persona, ask)
    model = requested_model(persona, fields)
    _check_messages(persona, fields)
    _check_tools(persona, model, fields=fields)
    if persona.flavour == "llama_cpp" and "tools" not in model.capabilities:
        fields = {**fields, "tools": []}
    if fields.get("tool_choice") == "none":
        fields = {**fields, "tools": []}
    think = fields.get("reasoning_effort") != "none" and not _forbids_thinking(fields)
    if persona.flavour == "llama_cpp" and think and persona.thinking and prefill_of(fields["messages"]):
        raise Refusal(400, "Assistant response prefill is incompatible with enable_thinking.")
    reply = reply_to(persona, fields, think=think, limit=_limit(fields))
    named = answered_as(persona, fields)
    if not fields.get("stream") or ask.whole:
        return whole(openai_chunks.completion(persona, reply, model=named))
    payloads, ending = openai_chunks.chunks(persona, reply, model=named, include_usage=_include_usage(fields))
    return sse(payloads, ending=ending)


def completions(persona: Persona, ask: Ask) -> Answer:
    fields = json_fields(persona, ask)
    model = requested_model(persona, fields)
    if persona.flavour == "ollama" and "completion" not in model.capabilities:
        raise Refusal(400, f'"{fields["model"]}" does not support generate')
    prompts = _prompts(fields.get("prompt", ""))
    reply = completion_of(persona, " ".join([*prompts, fields.get("suffix") or ""]), limit=_limit(fields))
    common = openai_chunks.head(persona, answered_as(persona, fields), kind="text_completion")
    echoed = [[prompt] if fields.get("echo") else [] for prompt in prompts for _ in range(fields.get("n") or 1)]
    if not fields.get("stream") or ask.whole:
        lists = _logprobs(fields, reply.content)
        choices = [
            {**_text_choice("".join([*echo, *reply.content]), reply.finish, at), "logprobs": lists}
            for at, echo in enumerate(echoed)
        ]
        return whole({**common, "choices": choices, "usage": openai_chunks.usage(reply)})
    said: list[Any] = [
        {**common, "choices": [{**_text_choice(piece, None, at), "logprobs": _logprobs(fields, [piece])}]}
        for at, echo in enumerate(echoed)
        for piece in [*echo, *reply.content]
    ]
    said += [{**common, "choices": [_text_choice("", reply.finish, at)]} for at in range(1, len(echoed))]
    ending = _completion_ending(persona, reply, common=common, include_usage=_include_usage(fields))
    return sse([*said, *ending], ending=len(ending))


def embeddings(persona: Persona, ask: Ask) -> Answer:
    fields = json_fields(persona, ask)
    model = embedding_model(persona, fields)
    inputs = _inputs(persona, fields.get("input"))
    encoding = fields.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        allowed = "Supported values: ['float', 'base64']."
        raise Refusal(400, f"Invalid value for 'encoding_format' = {encoding}. {allowed}")
    dimensions = None if persona.flavour == "llama_cpp" else fields.get("dimensions")
    vectors = [shortened(vector(_as_text(item), model.embedding_length), dimensions) for item in inputs]
    marked = {"encoding_format": "base64"} if (persona.flavour, encoding) == ("llama_cpp", "base64") else {}
    data = [
        {"object": "embedding", "index": i, "embedding": v if encoding == "float" else as_base64(v), **marked}
        for i, v in enumerate(vectors)
    ]
    count = sum(len(item.split()) if isinstance(item, str) else len(item) for item in inputs)
    usage = {"prompt_tokens": count, "total_tokens": count}
    counted = {"usage": usage} if persona.counts else {}
    return whole({"object": "list", "data": data, "model": fields.get("model", ""), **counted})


def models(persona: Persona, ask: Ask) -> Answer:
    data = [_listed(persona, model) for model in persona.models]
    return whole({"object": "list", "data": data if data or persona.flavour == "openai" else None})


def one_model(persona: Persona, ask: Ask) -> Answer:
    name = ask.path.removeprefix("/v1/models/")
    model = persona.find(name)
    if model is None:
        raise unknown_model(persona, name)
    return whole(_listed(persona, model))


def requested_model(persona: Persona, fields: Mapping[str, Any]) -> FakeModel:
    name = fields.get("model") or ""
    if not name and persona.flavour == "openai":
        raise Refusal(400, "you must provide a model parameter")
    if not name and persona.flavour == "ollama":
        raise Refusal(400, "model is required")
    model = persona.find(name)
    if model is None:
        raise unknown_model(persona, name)
    return model


def embedding_model(persona: Persona, fields: Mapping[str, Any]) -> FakeModel:
    model = requested_model(persona, fields)
    if persona.flavour == "llama_cpp":
        able = next((m for m in persona.models if "embedding" in m.capabilities), None)
        if able is None:
            raise Refusal(501, "This server does not support embeddings. Start it with `--embeddings`")
        return able
    if "embedding" in model.capabilities:
        return model
    if persona.flavour == "ollama":
        raise Refusal(501, "This server does not support embeddings. Start it with `--embeddings`")
    raise Refusal(400, "The model does not support Embeddings API")


def answered_as(persona: Persona, fields: Mapping[str, Any]) -> str:
    """llama.cpp answers under its own model's name."""
    return persona.models[0].name if persona.flavour == "llama_cpp" else str(fields["model"])


def unknown_model(persona: Persona, name: str) -> Refusal:
    if persona.flavour == "ollama":
        return Refusal(404, f"model '{name}' not found")
    message = f"The model `{name}` does not exist or you do not have access to it."
    return Refusal(404, message, code="model_not_found")


def _check_messages(persona: Persona, fields: Mapping[str, Any]) -> None:
    messages = fields.get("messages")
    if persona.flavour == "ollama":
        if not messages:
            raise Refusal(400, "[] is too short - 'messages'")
        if any(m.get("content") is None and not m.get("tool_calls") for m in messages):
            raise Refusal(400, "invalid message content type: <nil>")
    elif messages is None:
        raise Refusal(400, "'messages' is required", param="messages")
    elif persona.flavour == "llama_cpp" and any("role" not in m for m in messages):
        raise Refusal(500, "Missing 'role' in message")


def _check_tools(persona: Persona, model: FakeModel, *, fields: Mapping[str, Any]) -> None:
    if persona.flavour != "ollama":
        return
    if "completion" not in model.capabilities:
        raise Refusal(400, f'"{fields["model"]}" does not support chat')
    if fields.get("tools") and "tools" not in model.capabilities:
        name = full_name(fields["model"])
        raise Refusal(400, f"registry.ollama.ai/library/{name} does not support tools")


def _inputs(persona: Persona, given: Any) -> Sequence[str | Sequence[int]]:
    tokens = isinstance(given, list) and bool(given) and isinstance(given[0], int)
    items = [given] if isinstance(given, str) or tokens else given
    if persona.flavour == "ollama":
        if not isinstance(items, list) or not items:
            raise Refusal(400, "invalid input")
        if not all(isinstance(item, str) for item in items):
            raise Refusal(400, "invalid input type")
        return items
    if not isinstance(items, list) or not items or "" in items:
        raise Refusal(400, "'input' must not be empty", param="input")
    return items


def _as_text(item: str | Sequence[int]) -> str:
    return item if isinstance(item, str) else str(list(item))


def _completion_ending(persona: Persona, reply: Reply, *, common: Mapping[str, Any], include_usage: bool) -> list[Any]:
    finish = {**common, "choices": [_text_choice("", reply.finish)]}
    counts = {"usage": openai_chunks.usage(reply)}
    done = ["[DONE]"] if persona.send_done else []
    if persona.flavour == "llama_cpp":
        return [{**finish, **counts, "timings": openai_chunks.timings(reply)}, *done]
    if not include_usage:
        return [finish, *done]
    return [finish, {**common, "choices": [], **counts}, *done]


def _prompts(given: Any) -> list[str]:
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [" ".join(map(str, given))]
    return [prompt if isinstance(prompt, str) else " ".join(map(str, prompt)) for prompt in given]


def _logprobs(fields: Mapping[str, Any], said: Sequence[str]) -> dict[str, Any] | None:
    """The lists of text completions; offsets are those of the answer alone."""
    most = fields.get("logprobs")
    if most is None:
        return None
    offsets = [sum(map(len, said[:at])) for at in range(len(said))]
    others = [{piece: -0.25, "?": -1.5} for piece in said] if most else None
    return {"tokens": list(said), "token_logprobs": [-0.25] * len(said), "top_logprobs": others, "text_offset": offsets}


def _text_choice(text: str, finish_reason: str | None, index: int = 0) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish_reason}


def _forbids_thinking(fields: Mapping[str, Any]) -> bool:
    return (fields.get("chat_template_kwargs") or {}).get("enable_thinking") is False


def _limit(fields: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        if fields.get(name) is not None:
            return int(fields[name])
    return None


def _include_usage(fields: Mapping[str, Any]) -> bool:
    return bool((fields.get("stream_options") or {}).get("include_usage"))


def _listed(persona: Persona, model: FakeModel) -> dict[str, Any]:
    owner = "library" if persona.flavour == "ollama" else "fake"
    created = _CREATED if persona.flavour == "ollama" else int(time.time())
    return {"id": model.name, "object": "model", "created": created, "owned_by": owner}

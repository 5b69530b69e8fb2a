"""Chat completions, whole and in chunks, as each kind of server writes them."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.fakes.persona import Flavour, Persona
from tests.fakes.reply import TOOL_ARGUMENTS, Reply


@dataclass(frozen=True, slots=True)
class Style:
    """`argument_pieces` joined are the tool's arguments; the first travels with the call's name."""

    reasoning_key: str
    role_content: str | None
    tool_content: str | None
    null_usage: bool
    call_prefix: str
    call_length: int
    fingerprint: str | None
    argument_pieces: Sequence[str]


_COMPACT = json.dumps(TOOL_ARGUMENTS, separators=(",", ":"))
_LLAMA_PIECES = ("{", '\n    "', "city", '":', ' "', "Paris", '"', "\n}")

STYLES: Mapping[Flavour, Style] = {
    "openai": Style("reasoning_content", "", None, True, "call_", 24, None, ("", '{"', "city", '":"', "Paris", '"}')),
    "ollama": Style("reasoning", "", "", False, "call_", 8, "fp_ollama", (_COMPACT,)),
    "llama_cpp": Style("reasoning_content", None, "", False, "", 32, "b0-unknown", _LLAMA_PIECES),
}


def head(persona: Persona, model: str, *, kind: str) -> dict[str, Any]:
    fingerprint = STYLES[persona.flavour].fingerprint
    named = {"id": f"chatcmpl-{persona.token(32)}", "object": kind, "created": int(time.time()), "model": model}
    return {**named, "system_fingerprint": fingerprint} if fingerprint else named


def completion(persona: Persona, reply: Reply, *, model: str) -> dict[str, Any]:
    style = STYLES[persona.flavour]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(reply.content)}
    if reply.thinking:
        message[style.reasoning_key] = "".join(reply.thinking)
    if reply.tool:
        message["content"] = style.tool_content
        message["tool_calls"] = [_call(persona, reply)]
    choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
    answer = {**head(persona, model, kind="chat.completion"), "choices": [choice], "usage": usage(reply)}
    if not persona.counts:
        return {key: value for key, value in answer.items() if key != "usage"}
    return {**answer, "timings": timings(reply)} if persona.flavour == "llama_cpp" else answer


def chunks(persona: Persona, reply: Reply, *, model: str, include_usage: bool) -> tuple[list[Any], int]:
    """The payloads in order, [DONE] included, and how many at the tail only mark the end."""
    style = STYLES[persona.flavour]
    common = head(persona, model, kind="chat.completion.chunk")
    if include_usage and style.null_usage:
        common["usage"] = None
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": style.role_content}]
    deltas += [{style.reasoning_key: piece} for piece in reply.thinking]
    deltas += [{"content": piece} for piece in reply.content]
    deltas += _call_deltas(persona, reply) if reply.tool else []
    said = [{**common, "choices": [_choice(delta, None)]} for delta in deltas]
    ending = _ending(persona, reply, common=common, include_usage=include_usage)
    return [*said, *ending], len(ending)


def usage(reply: Reply) -> dict[str, int]:
    total = reply.prompt_tokens + reply.completion_tokens
    counts = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens}
    return {**counts, "total_tokens": total}


def timings(reply: Reply) -> dict[str, float]:
    """llama.cpp's measures, at a steady 1 ms a prompt token and 10 ms a new one."""
    return {
        "cache_n": 0,
        "prompt_n": reply.prompt_tokens,
        "prompt_ms": 1.0 * reply.prompt_tokens,
        "prompt_per_token_ms": 1.0,
        "prompt_per_second": 1000.0,
        "predicted_n": reply.completion_tokens,
        "predicted_ms": 10.0 * reply.completion_tokens,
        "predicted_per_token_ms": 10.0,
        "predicted_per_second": 100.0,
    }


def _ending(persona: Persona, reply: Reply, *, common: Mapping[str, Any], include_usage: bool) -> list[Any]:
    finish = {**common, "choices": [_choice({}, _finish(reply))]}
    llama = {"timings": timings(reply)} if persona.flavour == "llama_cpp" else {}
    counts = {"usage": usage(reply), **llama}
    done = ["[DONE]"] if persona.send_done else []
    if not persona.counts:
        return [finish, *done]
    if not include_usage:
        return [{**finish, **llama}, *done]
    if persona.usage_on_finish_chunk:
        return [{**finish, **counts}, *done]
    return [finish, {**common, "choices": [], **counts}, *done]


def _choice(delta: Mapping[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.tool else reply.finish


def _call(persona: Persona, reply: Reply) -> dict[str, Any]:
    style = STYLES[persona.flavour]
    function = {"name": reply.tool, "arguments": "".join(reply.argument_pieces(style.argument_pieces))}
    call = {"id": _call_id(persona), "type": "function", "function": function}
    return {**call, "index": 0} if persona.flavour == "ollama" else call


def _call_deltas(persona: Persona, reply: Reply) -> list[dict[str, Any]]:
    first, *rest = reply.argument_pieces(STYLES[persona.flavour].argument_pieces)
    opening = {
        "index": 0,
        "id": _call_id(persona),
        "type": "function",
        "function": {"name": reply.tool, "arguments": first},
    }
    following = [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in rest]
    return [{"tool_calls": [opening]}, *following]


def _call_id(persona: Persona) -> str:
    style = STYLES[persona.flavour]
    return style.call_prefix + persona.token(style.call_length)

"""Anthropic's endpoints, as strict as the real ones about what they are sent."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.answer import Answer, named_sse, named_sse_frame, whole
from tests.fakes.ask import Ask, json_fields
from tests.fakes.persona import FakeModel, Persona
from tests.fakes.refusal import Refusal
from tests.fakes.reply import Reply, reply_to, text_of

_FIELDS = frozenset(
    {
        "model", "max_tokens", "messages", "system", "stream", "stop_sequences", "tools", "tool_choice", "thinking",
        "output_config", "metadata", "service_tier", "speed", "cache_control", "container", "inference_geo",
    }
)  # fmt: skip
_BETA_FIELDS = frozenset({"context_management", "diagnostics", "mcp_servers"})
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_ARGUMENT_PIECES = ("", '{"ci', 'ty": "', 'Paris"}')
_SIGNATURE = "EqoBCkYfake"


_MALFORMED = (KeyError, TypeError, AttributeError, ValueError)
"""What reading a body raises that is not of the documented shape: the real service refuses it."""


def messages(persona: Persona, ask: Ask) -> Answer:
    try:
        return _answered(persona, ask)
    except _MALFORMED as error:
        raise Refusal(400, f"messages: Input should be valid ({type(error).__name__})") from error


def _answered(persona: Persona, ask: Ask) -> Answer:
    fields = _admitted(persona, ask)
    _check(fields, _FIELDS | _BETA_FIELDS if ask.headers.get("anthropic-beta") else _FIELDS)
    if persona.find(fields["model"]) is None:
        raise Refusal(404, f"model: {fields['model']}")
    think = fields.get("thinking", {}).get("type") != "disabled"
    reply = reply_to(persona, _as_openai(fields), think=think, limit=fields["max_tokens"])
    blocks = _blocks(persona, reply)
    if not fields.get("stream") or ask.whole:
        content = [_filled(block, pieces) for block, pieces in blocks]
        return whole(_message(persona, fields, content=content, stop_reason=_stop_reason(reply), reply=reply))
    return named_sse(_frames(persona, fields, blocks=blocks, reply=reply), ending=2)


def count_tokens(persona: Persona, ask: Ask) -> Answer:
    fields = _admitted(persona, ask)
    try:
        return whole({"input_tokens": sum(len(text_of(m.get("content")).split()) for m in fields.get("messages", []))})
    except _MALFORMED as error:
        raise Refusal(400, "messages: Input should be valid") from error


def models(persona: Persona, ask: Ask) -> Answer:
    _admit(persona, ask)
    data = [_listed(model) for model in persona.models][: int(ask.query.get("limit", 20))]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return whole({"data": data, **ends, "has_more": len(data) < len(persona.models)})


def one_model(persona: Persona, ask: Ask) -> Answer:
    _admit(persona, ask)
    name = ask.path.removeprefix("/v1/models/")
    model = persona.find(name)
    if model is None:
        raise Refusal(404, f"model: {name}")
    return whole(_listed(model))


def _admit(persona: Persona, ask: Ask) -> None:
    if persona.key is not None:
        shown = ask.headers.get("x-api-key") or ask.headers.get("authorization", "").removeprefix("Bearer ")
        if shown != persona.key:
            raise Refusal(401, "invalid x-api-key")
    if "anthropic-version" not in ask.headers:
        raise Refusal(400, "anthropic-version: header is required")


def _admitted(persona: Persona, ask: Ask) -> dict[str, Any]:
    _admit(persona, ask)
    return json_fields(persona, ask)


def _check(fields: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in ("model", "max_tokens", "messages"):
        if name not in fields:
            raise Refusal(400, f"{name}: Field required")
    for name in fields:
        if name not in known:
            raise Refusal(400, f"{name}: Extra inputs are not permitted")
    turns = fields["messages"]
    if not turns or turns[0]["role"] != "user":
        raise Refusal(400, "messages: first message must use the user role")
    for at, turn in enumerate(turns):
        _check_turn(turn, turns[at - 1] if at else {}, turns[at + 1] if at + 1 < len(turns) else {})
    named = {tool["name"] for tool in fields.get("tools", [])}
    if any(block["name"] not in named for turn in turns for block in _of_type(turn, "tool_use")):
        raise Refusal(400, "tools: a tool was used that is not defined")


def _check_turn(turn: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    blocks = turn["content"] if isinstance(turn["content"], list) else [{"type": "text", "text": turn["content"]}]
    if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
        raise Refusal(400, "messages: text content blocks must be non-empty")
    used = [block["id"] for block in _of_type(turn, "tool_use")]
    answered = [block["tool_use_id"] for block in _of_type(after, "tool_result")]
    if any(not _ID.fullmatch(one) for one in used) or len(set(used)) < len(used):
        raise Refusal(400, "messages: tool_use ids must be unique and match ^[a-zA-Z0-9_-]+$")
    if set(used) - set(answered):
        raise Refusal(400, "messages: tool_use ids were found without tool_result blocks immediately after")
    results = [block["tool_use_id"] for block in _of_type(turn, "tool_result")]
    if set(results) - {block["id"] for block in _of_type(before, "tool_use")}:
        raise Refusal(400, "messages: unexpected tool_use_id found in tool_result blocks")
    if [block["type"] for block in blocks[: len(results)]] != ["tool_result"] * len(results):
        raise Refusal(400, "messages: tool_result blocks come first")
    if any(not block.get("signature") for block in _of_type(turn, "thinking")):
        raise Refusal(400, "messages: Invalid `signature` in `thinking` block")


def _of_type(turn: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    content = turn.get("content")
    return [block for block in content if block["type"] == kind] if isinstance(content, list) else []


def _as_openai(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The conversation in the words of the other fakes, which decide what is answered."""
    said = [
        {"role": "tool" if _of_type(turn, "tool_result") else turn["role"], "content": turn["content"]}
        for turn in fields["messages"]
    ]
    offered = fields.get("tools", []) if fields.get("tool_choice", {}).get("type") != "none" else []
    return {"messages": said, "tools": [{"function": {"name": tool["name"]}} for tool in offered]}


def _blocks(persona: Persona, reply: Reply) -> list[tuple[dict[str, Any], Sequence[str]]]:
    """Each block as it begins, and the pieces that fill it."""
    blocks: list[tuple[dict[str, Any], Sequence[str]]] = []
    if reply.thinking:
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, reply.thinking))
    if reply.content:
        blocks.append(({"type": "text", "text": ""}, reply.content))
    if reply.tool:
        call = {"type": "tool_use", "id": f"toolu_{persona.token(12)}", "name": reply.tool, "input": {}}
        blocks.append((call, reply.argument_pieces(_ARGUMENT_PIECES)))
    return blocks


def _filled(block: Mapping[str, Any], pieces: Sequence[str]) -> dict[str, Any]:
    match block["type"]:
        case "tool_use":
            return {**block, "input": json.loads("".join(pieces))}
        case "thinking":
            return {**block, "thinking": "".join(pieces), "signature": _SIGNATURE}
        case _:
            return {**block, "text": "".join(pieces)}


def _deltas(block: Mapping[str, Any], pieces: Sequence[str]) -> list[dict[str, Any]]:
    match block["type"]:
        case "tool_use":
            return [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        case "thinking":
            said = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
            return [*said, {"type": "signature_delta", "signature": _SIGNATURE}]
        case _:
            return [{"type": "text_delta", "text": piece} for piece in pieces]


def _frames(
    persona: Persona, fields: Mapping[str, Any], *, blocks: list[tuple[dict[str, Any], Sequence[str]]], reply: Reply
) -> list[str]:
    """One frame for each piece, after one that opens the answer; borders of blocks travel with what follows them."""
    opening = _message(persona, fields, content=[], stop_reason=None, reply=reply)
    opening["usage"]["output_tokens"] = 1
    frames: list[list[dict[str, Any]]] = [[{"type": "message_start", "message": opening}]]
    border: list[dict[str, Any]] = []
    for index, (block, pieces) in enumerate(blocks):
        start = {"type": "content_block_start", "index": index, "content_block": block}
        (border if index else frames[0]).append(start)
        for delta in _deltas(block, pieces):
            frames.append([*border, {"type": "content_block_delta", "index": index, "delta": delta}])
            border = []
        border = [{"type": "content_block_stop", "index": index}]
    delta = {"stop_reason": _stop_reason(reply), "stop_sequence": None}
    usage = {"output_tokens": reply.completion_tokens}
    frames += [[*border, {"type": "message_delta", "delta": delta, "usage": usage}], [{"type": "message_stop"}]]
    return ["".join(named_sse_frame(event).decode() for event in frame) for frame in frames]


def _message(
    persona: Persona, fields: Mapping[str, Any], *, content: list[Any], stop_reason: str | None, reply: Reply
) -> dict[str, Any]:
    usage = {
        "input_tokens": reply.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": reply.completion_tokens,
    }
    named = {"id": f"msg_{persona.token(20)}", "type": "message", "role": "assistant", "model": fields["model"]}
    return {**named, "content": content, "stop_reason": stop_reason, "stop_sequence": None, "usage": usage}


def _stop_reason(reply: Reply) -> str:
    return "tool_use" if reply.tool else "max_tokens" if reply.finish == "length" else "end_turn"


def _listed(model: FakeModel) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": "2026-06-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": model.context_length,
        "max_tokens": 128_000,
        "capabilities": None,
    }

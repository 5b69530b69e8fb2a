"""Requests for a backend that answers this format itself: the client's own fields, but for what must differ."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from router.canonical.request import ChatRequest, Profile
from router.dialects.failures import UNREADABLE
from router.dialects.openai_responses import wire
from router.dialects.openai_responses.ids import OWN_REASONING
from router.dialects.openai_responses.spoken import ITEMS
from router.dialects.undecoded import given

_OPTIONS = frozenset(
    {"temperature", "top_p", "top_logprobs", "parallel_tool_calls", "service_tier", "truncation", "text", "reasoning"}
)
_LIMITS = ("max_tokens", "max_completion_tokens")
_LIMIT = "max_output_tokens"
_TRUE = Raw(b"true")
_REASONING = b'"reasoning"'


def render_request(request: ChatRequest, model: str, profile: Profile) -> bytes:
    """The body of `/v1/responses`: the client's own bytes, but for what must differ.

    What is gone on from is told whole: it may have been said by another backend.
    """
    fields: dict[str, Any] = {key: raw for key, raw in request.wire.fields.items() if key != "previous_response_id"}
    fields["input"] = _without_ours(request.wire.fields["input"])
    fields["model"] = model
    for key, value in profile.options.items():
        if key in _OPTIONS and not _has(fields, key):
            fields[key] = value
    effort = profile.options.get("reasoning_effort")
    if effort is not None and not _has(fields, "reasoning"):
        fields["reasoning"] = {"effort": effort}
    limit = _limit(request, profile)
    if limit is not None and limit != request.sampling.max_tokens:
        fields[_LIMIT] = limit
    if request.stream != (fields.get("stream") == _TRUE):
        fields["stream"] = request.stream
        fields.pop("stream_options", None)
    return msgspec.json.encode(fields)


def _limit(request: ChatRequest, profile: Profile) -> int | None:
    """What the client asks for or else the alias, and no more than that allows, but for room to think."""
    asked: object = request.sampling.max_tokens
    if asked is None:
        asked = next((profile.options[key] for key in _LIMITS if profile.options.get(key) is not None), None)
    found = [limit for limit in (asked, profile.max_tokens) if isinstance(limit, int)]
    if not found:
        return None
    return min(found) + (profile.thinking_tokens or 0)


def _without_ours(given_input: Raw) -> Raw:
    """Without reasoning of answers that were written here: nobody else knows whose it is."""
    if _REASONING not in bytes(given_input) or not bytes(given_input).startswith(b"["):
        return given_input
    items = ITEMS.decode(given_input)
    kept = [item for item in items if not _is_ours(item)]
    return given_input if len(kept) == len(items) else Raw(msgspec.json.encode(kept))


def _is_ours(item: Raw) -> bool:
    try:
        kind = wire.KIND.decode(item)
    except UNREADABLE:
        return False
    return kind.type == "reasoning" and (kind.id or "").startswith(OWN_REASONING)


def _has(fields: Mapping[str, Any], key: str) -> bool:
    """Whether a request says anything of a field; null says nothing."""
    return key in fields and given(fields[key]) is not None

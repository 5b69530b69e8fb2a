"""Chat requests for a backend of the same format: the client's own fields, but for what must differ."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from router.canonical.request import ChatRequest, Profile
from router.dialects.alias_options import CLAUDE_OPTIONS, OLLAMA_OPTIONS
from router.dialects.openai_chat.ids import NAME
from router.dialects.undecoded import given
from router.errors import UnsupportedParameter

_FOREIGN_OPTIONS = OLLAMA_OPTIONS | CLAUDE_OPTIONS

LIMITS = ("max_tokens", "max_completion_tokens", "n_predict")
"""Every name of the output limit; llama.cpp obeys the last one first."""

_TRUE = Raw(b"true")
_STREAM_OPTIONS = msgspec.json.Decoder(dict[str, Raw] | None)


def render_request(request: ChatRequest, model: str, profile: Profile, overrides: Mapping[str, Any]) -> bytes:
    """The body for a backend of this dialect: the client's own bytes, but for what must differ.

    An override of None takes a field away. Raises UnsupportedParameter for a request of another dialect.
    """
    if request.wire.dialect != NAME:
        raise UnsupportedParameter(f"a {request.wire.dialect} request cannot be sent as {NAME} yet")
    fields: dict[str, Any] = dict(request.wire.fields)
    limited = any(_has(fields, key) for key in LIMITS)
    for key, value in sent_options(profile).items():
        if not _has(fields, key) and not (limited and key in LIMITS):
            fields[key] = value
    if profile.max_tokens is not None:
        _cap(fields, profile.max_tokens)
    if profile.thinking_tokens and request.reasoning_effort != "none":
        _make_room(fields, profile.thinking_tokens)
    fields["model"] = model
    if request.stream != (fields.get("stream") == _TRUE):
        fields["stream"] = request.stream
        fields.pop("stream_options", None)
    for key, value in overrides.items():
        if value is None:
            fields.pop(key, None)
        else:
            fields[key] = value
    return msgspec.json.encode(fields)


def sent_options(profile: Profile) -> dict[str, Any]:
    """The alias options that a backend of this dialect is told."""
    return {key: value for key, value in profile.options.items() if key not in _FOREIGN_OPTIONS}


def asking_for_usage(request: ChatRequest) -> dict[str, Any]:
    """The client's `stream_options` with `include_usage` on: the router counts tokens, asked or not."""
    asked = request.wire.fields.get("stream_options")
    return {**((_STREAM_OPTIONS.decode(asked) if asked else None) or {}), "include_usage": True}


def _cap(fields: dict[str, Any], limit: int) -> None:
    """Every limit that was asked for is lowered to `limit`; a negative one stands for none."""
    asked = [key for key in LIMITS if _has(fields, key)]
    for key in asked or ["max_tokens"]:
        value: object = msgspec.json.decode(fields[key]) if isinstance(fields.get(key), Raw) else fields.get(key)
        if not isinstance(value, int) or not 0 <= value <= limit:
            fields[key] = limit


def _make_room(fields: dict[str, Any], tokens: int) -> None:
    """Raises every limit, so that reasoning takes nothing from what the answer may be long."""
    for key in LIMITS:
        value: object = msgspec.json.decode(fields[key]) if isinstance(fields.get(key), Raw) else fields.get(key)
        if isinstance(value, int) and value >= 0:
            fields[key] = value + tokens


def _has(fields: Mapping[str, Any], key: str) -> bool:
    """Whether a request says anything of a field; null says nothing."""
    return key in fields and given(fields[key]) is not None

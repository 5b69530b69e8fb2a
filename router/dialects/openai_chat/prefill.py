"""A chat request with the beginning of its answer."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from router.canonical.request import ChatRequest, Message, TextPart, Wire
from router.dialects.openai_chat.ids import NAME
from router.dialects.openai_chat.render import LIMITS
from router.dialects.undecoded import given

_MESSAGES = msgspec.json.Decoder(list[Raw])
_KWARGS = msgspec.json.Decoder(dict[str, Raw] | None)


def continued(request: ChatRequest, text: str, max_tokens: int | None) -> ChatRequest:
    """The request for what comes after `text`, without thinking: that belongs before the text.

    `max_tokens` replaces the client's limit. llama.cpp refuses to continue a text while its template may think.
    """
    return replace(
        request,
        messages=(*request.messages, Message("assistant", (TextPart(text),))),
        sampling=replace(request.sampling, max_tokens=max_tokens),
        reasoning_effort="none",
        wire=_rewritten(request.wire, text, max_tokens) if request.wire.dialect == NAME else request.wire,
    )


def _rewritten(wire: Wire, text: str, max_tokens: int | None) -> Wire:
    fields: dict[str, Raw] = {key: raw for key, raw in wire.fields.items() if key not in LIMITS}
    messages = _MESSAGES.decode(fields["messages"])
    fields["messages"] = _raw([*messages, {"role": "assistant", "content": text}])
    kwargs: Mapping[str, Any] = _KWARGS.decode(fields["chat_template_kwargs"]) or {} if _has_kwargs(fields) else {}
    fields["chat_template_kwargs"] = _raw({**kwargs, "enable_thinking": False})
    if max_tokens is not None:
        fields["max_tokens"] = _raw(max_tokens)
    return Wire(wire.dialect, fields)


def _has_kwargs(fields: Mapping[str, Raw]) -> bool:
    return "chat_template_kwargs" in fields and given(fields["chat_template_kwargs"]) is not None


def _raw(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))

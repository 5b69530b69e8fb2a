"""Requests of Anthropic's clients on their way to Claude: their own bytes, but for what must differ."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from router.canonical.request import ChatRequest, Profile
from router.dialects.anthropic_messages.names import NATIVE_OPTIONS
from router.dialects.undecoded import given

_REASONING = frozenset({"thinking", "redacted_thinking"})


class _Turn(Struct):
    role: str = ""
    content: Raw = Raw(b"null")


class _Block(Struct):
    type: str = ""
    signature: str | None = None
    data: str | None = None

    @property
    def is_reasoning(self) -> bool:
        return self.type in _REASONING

    @property
    def is_signed(self) -> bool:
        return bool(self.signature or self.data)


_TURNS = msgspec.json.Decoder(list[Raw])
_TURN = msgspec.json.Decoder(_Turn)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_BLOCK = msgspec.json.Decoder(_Block)


def passed_on(
    request: ChatRequest, model: str, profile: Profile, *, max_tokens: int, with_reasoning: bool
) -> tuple[bytes, bool]:
    """The body for Claude, and whether reasoning of earlier turns is in it.

    `max_tokens` is only used where the client says none, or more than the alias allows. Reasoning that nobody signed
    is another model's, and is left out.
    """
    own = request.wire.fields
    fields: dict[str, Any] = dict(own)
    options = profile.options.items()
    fields.update({key: value for key, value in options if key in NATIVE_OPTIONS and not _has(own, key)})
    fields["model"] = model
    if not _has(own, "max_tokens") or _exceeds(request, profile):
        fields["max_tokens"] = max_tokens
    if request.stream != (own.get("stream") == b"true"):
        fields["stream"] = request.stream
    messages, is_signed = _messages(own["messages"], with_reasoning=with_reasoning)
    fields["messages"] = messages
    return msgspec.json.encode(fields), is_signed


def _has(fields: Mapping[str, Raw], key: str) -> bool:
    return key in fields and given(fields[key]) is not None


def _exceeds(request: ChatRequest, profile: Profile) -> bool:
    asked = request.sampling.max_tokens
    return profile.max_tokens is not None and asked is not None and asked > profile.max_tokens


def _messages(raw: Raw, *, with_reasoning: bool) -> tuple[Any, bool]:
    """The conversation as it came, unless reasoning has to go; and whether there is reasoning left in it."""
    if b"thinking" not in bytes(raw):
        return raw, False
    turns: list[Any] = []
    changed = is_signed = False
    for turn in _TURNS.decode(raw):
        blocks = _reasoning_turn(turn)
        kept = [block for block, read in blocks if not read.is_reasoning or (with_reasoning and read.is_signed)]
        is_signed = is_signed or any(read.is_reasoning and read.is_signed for _, read in blocks)
        if len(kept) == len(blocks):
            turns.append(turn)
            continue
        changed = True
        if kept:
            turns.append({**_FIELDS.decode(turn), "content": kept})
    return (turns if changed else raw), is_signed and with_reasoning


def _reasoning_turn(turn: Raw) -> Sequence[tuple[Raw, _Block]]:
    """The blocks of an assistant's turn; of any other none, since there is nothing to take from it."""
    read = _TURN.decode(turn)
    if read.role != "assistant" or not bytes(read.content).startswith(b"["):
        return ()
    return [(block, _BLOCK.decode(block)) for block in _TURNS.decode(read.content)]

"""Events in any order as content blocks, which never overlap."""

from typing import Any

import msgspec

from router.canonical.events import Event, ReasoningDelta, ReasoningSigned, TextDelta, ToolCallDelta, ToolCallStarted
from router.dialects import sse
from router.dialects.anthropic_messages import wire
from router.dialects.anthropic_messages.blocks import clean_id
from router.dialects.failures import UNREADABLE

_encode = msgspec.json.Encoder().encode
_BORDER = b"event: content_block_st"
_TEXT = "text"
_THINKING = "thinking"
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_READ = msgspec.json.Decoder(wire.Block)

Key = str | int
"""What a block holds: text, thinking, or the call of that number."""


def named(kind: str, fields: dict[str, Any]) -> bytes:
    """One event of a stream; without its `event:` line no client reads it."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, **fields}))


class Flow:
    """Opens and closes blocks. While the arguments of a call are not whole, what belongs elsewhere waits."""

    def __init__(self) -> None:
        self._index = -1
        self._open: Key | None = None
        self._arguments = ""
        self._waiting: list[tuple[Key, list[Event]]] = []
        self.called = False

    def text(self, event: TextDelta) -> bytes | None:
        """The usual piece, fast: more text of the block that is open. None when it is anything else."""
        if self._open != _TEXT or not event.text:
            return None
        return (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"text_delta","text":%b}}\n\n'
        ) % (self._index, _encode(event.text))

    def take(self, event: Event, out: list[bytes]) -> None:
        """A piece of the answer's content."""
        key = _key_of(event)
        if key is None:
            return
        if self._open is not None and key != self._open and not self._is_whole():
            self._wait(key, event)
            return
        self._write(key, event, out)
        while self._waiting and self._is_whole():
            key, events = self._waiting.pop(0)
            for held in events:
                self._write(key, held, out)

    def finish(self, out: list[bytes]) -> None:
        """Nothing follows."""
        waiting, self._waiting = self._waiting, []
        for key, events in waiting:
            for event in events:
                self._write(key, event, out)
        self._close(out)

    def follow(self, raw: bytes) -> None:
        """A border of a block that is forwarded as it came: should another go on, it counts from there."""
        if not raw.startswith(_BORDER):
            return
        record = wire.RECORD.decode(sse.payload(raw.rstrip(b"\n")) or b"{}")
        self._index = record.index
        block = record.content_block
        self._open = None if block is None else _TEXT if block.type == "text" else _THINKING
        self.called = self.called or (block is not None and block.type == "tool_use")

    def _is_whole(self) -> bool:
        """Whether what is open may end here."""
        return not isinstance(self._open, int) or _is_object(self._arguments)

    def _wait(self, key: Key, event: Event) -> None:
        known = next((events for held, events in self._waiting if held == key and isinstance(key, int)), None)
        if known is None and self._waiting and self._waiting[-1][0] == key:
            known = self._waiting[-1][1]
        if known is None:
            self._waiting.append((key, [event]))
        else:
            known.append(event)

    def _write(self, key: Key, event: Event, out: list[bytes]) -> None:
        match event:
            case TextDelta(text=text) if text:
                self._start(key, {"type": "text", "text": ""}, out)
                self._delta({"type": "text_delta", "text": text}, out)
            case ReasoningDelta(text=text) if text:
                self._start(key, {"type": "thinking", "thinking": "", "signature": ""}, out)
                self._delta({"type": "thinking_delta", "thinking": text}, out)
            case ReasoningSigned():
                self._sign(event, out)
            case ToolCallStarted():
                self.called = True
                call_id = clean_id(event.id, f"toolu_{event.index}")
                self._start(key, {"type": "tool_use", "id": call_id, "name": event.name, "input": {}}, out)
            case ToolCallDelta(arguments=arguments) if arguments and key == self._open:
                self._arguments += arguments
                self._delta({"type": "input_json_delta", "partial_json": arguments}, out)
            case _:
                pass

    def _start(self, key: Key, block: dict[str, Any], out: list[bytes]) -> None:
        """Opens a block unless it is open."""
        if self._open == key:
            return
        self._close(out)
        self._index += 1
        self._open, self._arguments = key, ""
        out.append(named("content_block_start", {"index": self._index, "content_block": block}))

    def _delta(self, delta: dict[str, Any], out: list[bytes]) -> None:
        out.append(named("content_block_delta", {"index": self._index, "delta": delta}))

    def _close(self, out: list[bytes], signature: str = "") -> None:
        if self._open is None:
            return
        if self._open == _THINKING:
            self._delta({"type": "signature_delta", "signature": signature}, out)
        out.append(named("content_block_stop", {"index": self._index}))
        self._open = None

    def _sign(self, event: ReasoningSigned, out: list[bytes]) -> None:
        """A block of reasoning ends; one that was kept from the client had no text."""
        block = _READ.decode(event.block)
        if block.type == "redacted_thinking":
            self._close(out)
            self._start(_THINKING, {"type": block.type, "data": block.data}, out)
            out.append(named("content_block_stop", {"index": self._index}))
            self._open = None
            return
        if self._open != _THINKING:
            self._start(_THINKING, {"type": "thinking", "thinking": "", "signature": ""}, out)
            if block.thinking:
                self._delta({"type": "thinking_delta", "thinking": block.thinking}, out)
        self._close(out, block.signature or "")


def _key_of(event: Event) -> Key | None:
    """None for what is no content, or of another choice: Anthropic's clients know one only."""
    if getattr(event, "choice", 0):
        return None
    match event:
        case TextDelta():
            return _TEXT
        case ReasoningDelta() | ReasoningSigned():
            return _THINKING
        case ToolCallStarted() | ToolCallDelta():
            return event.index
        case _:
            return None


def _is_object(text: str) -> bool:
    try:
        _OBJECT.decode(text)
    except UNREADABLE:
        return False
    return True

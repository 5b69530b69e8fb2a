"""Claude's answers: bytes to frames."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from router.canonical.events import (
    Ended,
    Event,
    Finished,
    Frame,
    ReasoningDelta,
    ReasoningSigned,
    Refused,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from router.dialects import sse
from router.dialects.anthropic_messages import wire
from router.dialects.anthropic_messages.failures import in_band
from router.dialects.anthropic_messages.fences import Fences
from router.dialects.failures import UNREADABLE
from router.dialects.model_name import with_model
from router.dialects.undecoded import given
from router.errors import BackendFailed, RouterError, StreamBroken, StreamCut

Remember = Callable[[Mapping[str, tuple[msgspec.Raw, ...]]], None]
"""Told once, at the end of an answer: for each tool call's id the signed reasoning right before it."""

_NAMED = b"event:"


def _forget(_: Mapping[str, tuple[msgspec.Raw, ...]]) -> None:
    pass


class _Reader:
    """Turns blocks into events; remembers what one block alone does not say."""

    def __init__(self, *, bare_json: bool, remember: Remember) -> None:
        self._fences = Fences() if bare_json else None
        self._remember = remember
        self._pending: list[msgspec.Raw] = []
        self._before: dict[str, tuple[msgspec.Raw, ...]] = {}
        self._calls = 0
        self._open = wire.Block("")
        self._thought: list[str] = []
        self._argued = False

    def start(self, block: wire.Block) -> list[Event]:
        """A block begins, whole or to be filled by deltas."""
        self._open, self._thought, self._argued = block, [], False
        match block.type:
            case "text":
                return self.text(block.text or "")
            case "thinking":
                return self.thought(block.thinking or "")
            case "tool_use":
                call_id = block.id or f"toolu_{self._calls}"
                self._before[call_id] = tuple(self._pending)
                self._pending = []
                self._calls += 1
                return [ToolCallStarted(self._calls - 1, call_id, block.name or "")]
            case _:
                return []

    def delta(self, delta: wire.Delta) -> list[Event]:
        """A piece of the block that is open; pieces of a kind that nobody knows say nothing."""
        match delta.type:
            case "text_delta":
                return self.text(delta.text or "")
            case "thinking_delta":
                return self.thought(delta.thinking or "")
            case "signature_delta":
                self._open.signature = delta.signature
                return []
            case "input_json_delta" if delta.partial_json:
                self._argued = True
                return [ToolCallDelta(self._calls - 1, delta.partial_json)]
            case _:
                return []

    def stop(self) -> list[Event]:
        """The open block is whole: reasoning is signed, and a call that was given no arguments has none."""
        block, self._open = self._open, wire.Block("")
        if block.type == "tool_use":
            return [] if self._argued else [ToolCallDelta(self._calls - 1, _arguments(block.input))]
        block.thinking = "".join(self._thought)
        if (signed := wire.signed(block)) is None:
            return []
        self._pending.append(signed)
        return [ReasoningSigned(signed)]

    def text(self, text: str) -> list[Event]:
        said = text if self._fences is None else self._fences.feed(text)
        return [TextDelta(said)] if said else []

    def thought(self, text: str) -> list[Event]:
        self._thought.append(text)
        return [ReasoningDelta(text)] if text else []

    def end(self, stop_reason: str | None, details: wire.StopDetails | None) -> list[Event]:
        """The answer is whole."""
        rest = self._fences.finish() if self._fences else ""
        events: list[Event] = [TextDelta(rest)] if rest else []
        if any(self._before.values()):
            self._remember(self._before)
        if stop_reason == "refusal":
            events.append(Refused((details.explanation if details else None) or wire.UNEXPLAINED))
        reason = wire.REASONS.get(stop_reason or "", "tool_calls" if self._calls else "stop")
        return [*events, Finished(reason), Ended()]


class StreamDecoder:
    """Reads one streamed answer; `shown` is the model name that the client is told.

    With `bare_json`, a code fence around the answer is taken off.
    """

    failure: RouterError | None

    def __init__(self, shown: str, *, bare_json: bool = False, remember: Remember = _forget) -> None:
        self.failure = None
        self._shown = shown
        self._make_reader = lambda: _Reader(bare_json=bare_json, remember=remember)
        self._reader = self._make_reader()
        self._cutter = sse.Cutter()
        self._counts = wire.Counts()
        self._stop_reason: str | None = None
        self._stop_details: wire.StopDetails | None = None
        self._started = False
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether `message_stop` has come."""
        return self._ended

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that a read completes; after a failure, nothing."""
        return self._frames(self._cutter.feed(data))

    def finish(self) -> list[Frame]:
        """The end of the connection; raises StreamCut unless `message_stop` came."""
        rest = self._cutter.finish()
        if not self._started and rest and rest[0].startswith(b"{"):
            return self._unstreamed(rest[0])
        frames = self._frames(rest)
        if not self._ended and not self.failure:
            raise StreamCut("the backend's answer ended without its end marker")
        return frames

    def _unstreamed(self, body: bytes) -> list[Frame]:
        """The one JSON body of a server that was asked for a stream and does not do that."""
        try:
            events = _whole_events(_read(body), self._shown, self._make_reader())
        except RouterError as error:
            self.failure = StreamBroken(error.message)
            return []
        self._ended = True
        return [Frame(b"", events)]

    def _frames(self, events: Sequence[bytes]) -> list[Frame]:
        frames: list[Frame] = []
        for event in events:
            if self.failure or self._ended:
                break
            text = sse.payload(event)
            if text is not None and text != b"[DONE]" and (frame := self._frame(event, text)) is not None:
                frames.append(frame)
        return frames

    def _frame(self, event: bytes, text: bytes) -> Frame | None:
        try:
            record = wire.RECORD.decode(text)
        except msgspec.ValidationError:
            return Frame(event + b"\n\n", (), unread=True)
        except UNREADABLE:
            self.failure = StreamBroken("the backend sent a piece that is not valid JSON")
            return None
        if record.type == "error" or given(record.error):
            self.failure = in_band(record.error)
            return None
        raw = event if event.startswith(_NAMED) else b"event: %b\n%b" % (record.type.encode(), event)
        if record.type == "message_start" and record.message is not None:
            raw = with_model(raw, record.message.model, self._shown)
        return Frame(raw + b"\n\n", tuple(self._events(record)))

    def _events(self, record: wire.Record) -> list[Event]:
        if record.type == "content_block_delta" and record.delta is not None:
            return self._reader.delta(record.delta)
        if record.type == "content_block_start" and record.content_block is not None:
            return self._reader.start(record.content_block)
        return self._border(record)

    def _border(self, record: wire.Record) -> list[Event]:
        """What opens or closes a block or the answer; a record of a kind that nobody knows says nothing."""
        match record.type:
            case "content_block_stop":
                return self._reader.stop()
            case "message_start":
                return self._start(record.message or wire.Message())
            case "message_delta":
                return self._sum_up(record)
            case "message_stop":
                self._ended = True
                return self._reader.end(self._stop_reason, self._stop_details)
            case _:
                return []

    def _start(self, message: wire.Message) -> list[Event]:
        self._started = True
        started: list[Event] = [Started(model=self._shown)]
        return started if message.usage is None else [*started, self._counts.reported(message.usage)]

    def _sum_up(self, record: wire.Record) -> list[Event]:
        if record.delta is not None:
            self._stop_reason = record.delta.stop_reason or self._stop_reason
            self._stop_details = record.delta.stop_details or self._stop_details
        return [] if record.usage is None else [self._counts.reported(record.usage)]


def decode_whole(body: bytes, shown: str, *, bare_json: bool = False, remember: Remember = _forget) -> Frame:
    """A whole answer as one frame; raises BackendFailed for a body that is not one."""
    message = _read(body)
    events = _whole_events(message, shown, _Reader(bare_json=bare_json, remember=remember))
    return Frame(with_model(body, message.model, shown), events)


def _read(body: bytes) -> wire.Message:
    try:
        return wire.MESSAGE.decode(body)
    except UNREADABLE:
        raise BackendFailed("the backend's answer cannot be read") from None


def _whole_events(message: wire.Message, shown: str, reader: _Reader) -> tuple[Event, ...]:
    if message.type == "error" or given(message.error):
        raise in_band(message.error)
    if message.content is None:
        raise BackendFailed("the backend's answer has no content")
    events: list[Event] = [Started(model=shown)]
    for block in message.content:
        events += reader.start(block)
        events += reader.stop()
    events.append(wire.Counts().reported(message.usage or wire.Usage()))
    return (*events, *reader.end(message.stop_reason, message.stop_details))


def _arguments(raw: msgspec.Raw) -> str:
    """Arguments that came with the call, as compact JSON text."""
    try:
        return msgspec.json.encode(msgspec.json.decode(given(raw) or b"{}")).decode()
    except UNREADABLE:
        return bytes(raw).decode("utf-8", "replace")

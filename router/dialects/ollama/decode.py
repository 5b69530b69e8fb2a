"""Ollama's answers: bytes to frames."""

from collections.abc import Sequence
from datetime import datetime
from secrets import token_hex
from time import strptime, time

import msgspec
from msgspec import Raw, Struct

from router.canonical.adapter import Vectors
from router.canonical.events import (
    Ended,
    Event,
    Finished,
    Frame,
    LogprobsReported,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    UsageReported,
)
from router.dialects import ndjson
from router.dialects.failures import UNREADABLE, read_raw
from router.dialects.model_name import Renamer, with_fields
from router.dialects.ollama.names import GENERATE, NAME
from router.dialects.undecoded import ABSENT, given
from router.errors import BackendFailed, RouterError, StreamBroken


class _Function(Struct, frozen=True):
    name: str = ""
    arguments: Raw = ABSENT


class _Call(Struct):
    id: str | None = None
    function: _Function = _Function()


class _Message(Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Token(Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _Logprob(_Token):
    top_logprobs: list[_Token] = []


class _Line(Struct):
    model: str = ""
    created_at: str = ""
    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    prompt_eval_cached_count: int | None = None
    eval_count: int | None = None
    logprobs: list[_Logprob] | None = None
    error: Raw = ABSENT


class _Embeddings(Struct):
    embeddings: list[Raw] | None = None
    prompt_eval_count: int | None = None


_DECODER = msgspec.json.Decoder(_Line)
_EMBEDDINGS = msgspec.json.Decoder(_Embeddings)


class _Reader:
    """Turns lines into events; remembers what one line alone does not say."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self.started = False
        self._ids: set[str] = set()

    def events(self, line: _Line) -> tuple[Event, ...]:
        events: list[Event] = []
        if not self.started:
            self.started = True
            events.append(Started("", self._shown, seconds(line.created_at)))
        if line.message is not None:
            self._say(line.message, events)
        elif line.response or line.thinking:
            self._say(_Message(line.response, line.thinking), events)
        if line.logprobs:
            events.append(LogprobsReported(_logprobs(line.logprobs)))
        if line.done:
            self._finish(line, events)
        return tuple(events)

    def _say(self, message: _Message, events: list[Event]) -> None:
        if message.thinking:
            events.append(ReasoningDelta(message.thinking))
        if message.content:
            events.append(TextDelta(message.content))
        for call in message.tool_calls or ():
            index = len(self._ids)
            events.append(ToolCallStarted(index, self._unique(call.id), call.function.name))
            events.append(ToolCallDelta(index, _arguments(call.function.arguments)))

    def _unique(self, call_id: str | None) -> str:
        """The backend's own id, or a new one where there is none or it was given to an earlier call."""
        if not call_id or call_id in self._ids:
            call_id = f"call_{token_hex(12)}"
        self._ids.add(call_id)
        return call_id

    def _finish(self, line: _Line, events: list[Event]) -> None:
        reason = "length" if line.done_reason == "length" else "stop"
        events.append(Finished("tool_calls" if self._ids and reason == "stop" else reason))
        usage = UsageReported(line.prompt_eval_count, line.eval_count, line.prompt_eval_cached_count)
        if usage != UsageReported():
            events.append(usage)
        events.append(Ended())


class _Shown:
    """What is forwarded of a line to a client of Ollama's: it names the model `shown`, in the shape of `dialect`."""

    def __init__(self, shown: str, dialect: str | None) -> None:
        self._shown = shown
        self._dialect = dialect
        self._renamed = Renamer(shown)

    def __call__(self, raw: bytes, line: _Line) -> bytes:
        if self._dialect is None:
            return b""
        if self._dialect == GENERATE and (said := line.message) is not None:
            generated = {"message": None, "response": said.content or "", "thinking": said.thinking or None}
            return with_fields(raw, {"model": self._shown, **generated})
        return self._renamed(raw, line.model)


class StreamDecoder:
    """Reads one streamed answer of `/api/chat` or `/api/generate`.

    `shown` is the model name that the client is told, `dialect` the shape that its lines are forwarded in; with None
    they are not.
    """

    failure: RouterError | None

    def __init__(self, shown: str, dialect: str | None = NAME) -> None:
        self.failure = None
        self._cutter = ndjson.Cutter()
        self._reader = _Reader(shown)
        self._shown = shown
        self._told = _Shown(shown, dialect)
        self._ended = False
        self._body: list[bytes] = []

    @property
    def ended(self) -> bool:
        """Whether the end marker has come."""
        return self._ended

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that a read completes; after a failure, nothing."""
        return self._frames(self._cutter.feed(data))

    def finish(self) -> list[Frame]:
        """The end of the connection; raises StreamBroken unless a line with `done: true` came."""
        frames = self._frames(self._cutter.finish())
        if self._body:
            return self._unstreamed(b"\n".join(self._body))
        if not self._ended and not self.failure:
            raise StreamBroken("the backend's answer ended without its end marker")
        return frames

    def _unstreamed(self, body: bytes) -> list[Frame]:
        """The events of one JSON body, spread over lines by a server that does not stream."""
        try:
            frame = decode_whole(body, self._shown)
        except BackendFailed as error:
            self.failure = StreamBroken(error.message)
            return []
        self._ended = True
        return [Frame(b"", frame.events)]

    def _frames(self, lines: Sequence[bytes]) -> list[Frame]:
        frames: list[Frame] = []
        for raw in lines:
            if self.failure or self._ended:
                break
            if self._body or (raw == b"{" and not self._reader.started):
                self._body.append(raw)
                continue
            try:
                line = _DECODER.decode(raw)
            except UNREADABLE:
                self.failure = StreamBroken("the backend sent a line that cannot be read")
                break
            if given(line.error):
                self.failure = StreamBroken(read_raw(line.error))
                break
            self._ended = line.done
            told = self._told(raw, line)
            frames.append(Frame(told and told + b"\n", self._reader.events(line)))
        return frames


def decode_whole(body: bytes, shown: str, dialect: str | None = NAME) -> Frame:
    """A whole answer of the same; raises BackendFailed for anything else or for one that says `done: false`."""
    try:
        line = _DECODER.decode(body)
    except UNREADABLE:
        raise BackendFailed("the backend's answer cannot be read") from None
    if given(line.error):
        raise BackendFailed(read_raw(line.error))
    if not line.done:
        raise BackendFailed("the backend gave up in the middle of the answer")
    return Frame(_Shown(shown, dialect)(body, line), _Reader(shown).events(line))


def decode_embeddings(body: bytes, expected: int, *, dropped: tuple[str, ...] = ()) -> Vectors:
    """The vectors of `/api/embed`, digits untouched; raises BackendFailed unless there are `expected` of them."""
    try:
        answer = _EMBEDDINGS.decode(body)
    except UNREADABLE:
        raise BackendFailed("the backend's embeddings cannot be read") from None
    vectors = tuple(answer.embeddings or ())
    if len(vectors) != expected:
        raise BackendFailed(f"the backend gave {len(vectors)} embeddings for {expected} inputs")
    return Vectors(vectors=vectors, usage=UsageReported(answer.prompt_eval_count), dropped=dropped)


def seconds(timestamp: str) -> int:
    """An RFC 3339 time with any number of fraction digits, in seconds since 1970; now when it cannot be read."""
    zone = timestamp[19:].lstrip(".0123456789")
    try:
        moment = datetime.fromisoformat(f"{timestamp[:19]}+00:00")  # strptime takes ten times as long
        return int(moment.timestamp()) - _offset_s(zone)
    except ValueError:
        return int(time())


def _offset_s(zone: str) -> int:
    """How far a zone such as `+02:00` is ahead, in seconds; raises ValueError for one that is none."""
    if zone in {"", "Z", "z"}:
        return 0
    ahead = strptime(zone[1:], "%H:%M")
    return (ahead.tm_hour * 3600 + ahead.tm_min * 60) * (-1 if zone[0] == "-" else 1)


def _arguments(raw: Raw) -> str:
    """Arguments as compact JSON text; one that is a text already stays it, one that nobody can read too."""
    if given(raw) is None:
        return "{}"
    try:
        value: object = msgspec.json.decode(raw)
        return (value or "{}") if isinstance(value, str) else msgspec.json.encode(value).decode()
    except UNREADABLE:
        return bytes(raw).decode("utf-8", "replace")


def _logprobs(tokens: list[_Logprob]) -> Raw:
    return Raw(msgspec.json.encode(tokens))

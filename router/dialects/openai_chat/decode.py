"""A backend's chat answers in OpenAI's format: bytes to frames."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from router.canonical.events import (
    Ended,
    Event,
    Finished,
    Frame,
    LogprobsReported,
    ReasoningDelta,
    ReasoningSigned,
    Refused,
    Started,
    TextDelta,
    UsageReported,
)
from router.dialects import sse
from router.dialects.failures import UNREADABLE, read_raw
from router.dialects.model_name import Renamer, with_fields, with_model
from router.dialects.openai_answer import Usage
from router.dialects.openai_chat.calls import Call, Calls
from router.dialects.undecoded import ABSENT, check_object, check_text, given
from router.dialects.unstreamed import EventReader
from router.errors import BackendFailed

DONE = b"[DONE]"
_INDEX = b'"index"'


class _Timings(Struct, gc=False):
    """What llama.cpp says on the last chunk when it was not asked for usage."""

    cache_n: int | None = None
    prompt_n: int | None = None
    predicted_n: int | None = None

    def reported(self) -> UsageReported | None:
        if self.prompt_n is None or self.predicted_n is None:
            return None
        return UsageReported(self.prompt_n + (self.cache_n or 0), self.predicted_n, self.cache_n)


class _Logprobs(Struct, gc=False):
    content: Raw = ABSENT


class _Said(Struct, gc=False):
    """A delta, or the message of a whole answer."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[Raw] | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None


class _Choice(Struct, gc=False):
    index: int = 0
    delta: _Said | None = None
    message: _Said | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Chunk(Struct, gc=False):
    id: str | None = None
    model: str | None = None
    created: float | None = None
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    timings: _Timings | None = None
    error: Raw = ABSENT
    object: str | None = None


_DECODER = msgspec.json.Decoder(_Chunk)


class StreamDecoder(EventReader):
    """Reads one streamed answer; `shown` replaces the backend's model name in every frame.

    With `choices` above 1, reports of usage alone are about one choice each and are summed. Unless `strict_end`, an
    answer whose every choice has its finish reason counts as whole without `[DONE]`.
    """

    def __init__(self, shown: str, *, choices: int = 1, strict_end: bool = False) -> None:
        super().__init__(shown)
        self._renamed = Renamer(shown)
        self._strict_end = strict_end
        self._choices = choices
        self._calls = Calls()
        self._forwards: bool | None = None
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._summed: UsageReported | None = None

    def _whole(self, body: bytes) -> Frame:
        return decode_whole(body, self._shown)

    def _is_whole(self) -> bool:
        return not self._strict_end and bool(self._finished) and not self._open - self._finished

    def _frames(self, events: Sequence[bytes]) -> list[Frame]:
        frames: list[Frame] = []
        at, count = 0, len(events)
        while at < count and not self._ended and self.failure is None:
            if self._forwards:
                at = self._plain_run(events, at, frames)
                if at == count:
                    break
            event = events[at]
            at += 1
            text = sse.payload(event)
            if text == DONE:
                frames.append(self._end())
            elif text is not None:
                frames.extend(self._read(event, text))
        return frames

    def _plain_run(self, events: Sequence[bytes], at: int, frames: list[Frame]) -> int:
        """Adds the frames of the events from `at` on that say a piece of text and nothing else, as nearly all do; the
        place of the first other one."""
        decode, renamed, known = _DECODER.decode, self._renamed, self._open
        for place in range(at, len(events)):
            event = events[place]
            if not event.startswith(b"data: {") or b"\n" in event or not event.isascii():
                return place
            try:
                chunk = decode(event[6:])
            except UNREADABLE:
                return place
            delta = _plain(chunk)
            if delta is None or delta.choice not in known:
                return place
            frames.append(Frame(renamed(event, chunk.model) + b"\n\n", (delta,)))
        return len(events)

    def _end(self) -> Frame:
        """The end marker, and a finish reason for every choice that the server forgot one for."""
        self._ended = True
        unfinished = sorted((self._open or {0}) - self._finished)
        finished = (Finished(_reason(self._calls, choice), choice) for choice in unfinished)
        return Frame(b"", (*finished, Ended()))

    def _read(self, event: bytes, text: bytes) -> tuple[Frame, ...]:
        """The frames of one event; JSON that is no object says nothing that a client could read."""
        try:
            check_text(event)
            chunk = _decoded(text)
        except msgspec.ValidationError:
            return ()
        except UNREADABLE:
            self._break_off("the backend sent a piece that is not valid JSON")
            return ()
        return (Frame(event + b"\n\n", (), unread=True),) if chunk is None else self._framed(event, text, chunk)

    def _framed(self, event: bytes, text: bytes, chunk: _Chunk) -> tuple[Frame, ...]:
        """What was said, and apart from it a count that came along."""
        if (delta := _plain(chunk)) is not None and delta.choice in self._open:
            return (Frame(self._forwarded(event, text, chunk), (delta,)),)
        if (failure := _reported(chunk, text)) is not None:
            self._break_off(failure)
            return ()
        if self._forwards is None and chunk.choices:
            self._forwards = chunk.id is not None and _INDEX in event
        events, whole = self._events(chunk)
        if chunk.usage is None:
            return (Frame(self._forwarded(event, text, chunk) if whole else b"", tuple(events)),)
        usage = self._counted(chunk.usage.reported(), alone=not chunk.choices)
        if not chunk.choices:
            counted = Frame(self._forwarded(event, text, chunk), (usage,))
            return (Frame(b"", tuple(events)), counted) if events else (counted,)
        is_whole = whole and self._forwards is not False
        raw = b"data: " + with_fields(text, {"usage": None, "model": self._shown}) + b"\n\n" if is_whole else b""
        return (Frame(raw, tuple(events)), Frame(b"", (usage,)))

    def _forwarded(self, event: bytes, text: bytes, chunk: _Chunk) -> bytes:
        """The event with the model's name changed; one of several lines is written anew if it has to be.

        Nothing of a server that leaves out what strict clients cannot do without: the answer's id, the choice's index.
        """
        if self._forwards is False:
            return b""
        if b"\n" not in event:
            return self._renamed(event, chunk.model) + b"\n\n"
        if chunk.model is None or chunk.model == self._shown:
            return event + b"\n\n"
        return b"data: " + with_fields(text, {"model": self._shown}) + b"\n\n"

    def _events(self, chunk: _Chunk) -> tuple[list[Event], bool]:
        events: list[Event] = []
        whole = True
        if not self._started:
            self._started = True
            events.append(Started(chunk.id or "", self._shown, int(chunk.created or 0)))
        finished = False
        for choice in chunk.choices or ():
            self._open.add(choice.index)
            finished = finished or choice.finish_reason is not None
            whole = self._choice(choice, events) and whole
        if finished and chunk.usage is None and chunk.timings and (usage := chunk.timings.reported()):
            events.append(self._counted(usage, alone=True))
        return events, whole

    def _choice(self, choice: _Choice, events: list[Event]) -> bool:
        whole = True
        said = choice.delta or choice.message
        if said is not None:
            _say(said, choice.index, events)
            if said.tool_calls:
                calls, whole = self._calls.events(choice.index, said.tool_calls)
                events.extend(calls)
        if choice.logprobs is not None and (content := given(choice.logprobs.content)):
            events.append(LogprobsReported(content, choice.index))
        if choice.finish_reason is not None:
            self._finished.add(choice.index)
            events.append(Finished(choice.finish_reason, choice.index))
        return whole

    def _counted(self, usage: UsageReported, *, alone: bool) -> UsageReported:
        if self._choices <= 1 or not alone:
            return usage
        self._summed = usage if self._summed is None else self._summed.added(usage)
        return self._summed


def decode_whole(body: bytes, shown: str) -> Frame:
    """A whole answer as one frame; raises BackendFailed for a body that is not one."""
    try:
        check_text(body)
        chunk = _decoded(body)
    except UNREADABLE:
        raise BackendFailed("the backend's answer is not a JSON object") from None
    if chunk is None:
        return Frame(with_fields(body, {"model": shown}), (Started(model=shown), Ended()))
    if (failure := _reported(chunk, body)) is not None:
        raise BackendFailed(failure)
    if chunk.choices is None:
        raise BackendFailed("the backend's answer has no choices")
    events: list[Event] = [Started(chunk.id or "", shown, int(chunk.created or 0))]
    calls = Calls()
    for choice in chunk.choices:
        said = choice.message or choice.delta
        if said is not None:
            _say(said, choice.index, events)
            events.extend(calls.events(choice.index, said.tool_calls or ())[0])
        if choice.logprobs is not None and (content := given(choice.logprobs.content)):
            events.append(LogprobsReported(content, choice.index))
        events.append(Finished(choice.finish_reason or _reason(calls, choice.index), choice.index))
    if chunk.usage is not None:
        events.append(chunk.usage.reported())
    return Frame(with_model(body, chunk.model, shown), (*events, Ended()))


def _decoded(text: bytes) -> _Chunk | None:
    """A piece of an answer, or None for an object whose fields have other types than those that are known, which is
    still the client's to read; raises what is in UNREADABLE for anything else."""
    try:
        return _DECODER.decode(text)
    except msgspec.ValidationError:
        check_object(text)
        return None


def _plain(chunk: _Chunk) -> TextDelta | None:
    """The delta of a chunk that holds a piece of text and nothing else."""
    choices = chunk.choices
    if chunk.usage is not None or choices is None or len(choices) != 1 or chunk.error is not ABSENT:
        return None
    choice = choices[0]
    said = choice.delta
    if said is None or choice.finish_reason is not None or choice.logprobs is not None or not said.content:
        return None
    if said.tool_calls or said.reasoning_content or said.reasoning or said.refusal or said.thinking_blocks:
        return None
    return TextDelta(said.content, choice.index)


def _reason(calls: Calls, choice: int) -> str:
    return "tool_calls" if calls.any(choice) else "stop"


def _reported(chunk: _Chunk, text: bytes) -> str | None:
    """The failure that a chunk reports, in any of the two forms that servers use."""
    error = given(chunk.error) or (Raw(text) if chunk.object == "error" else None)
    return None if error is None else read_raw(error)


def _say(said: _Said, choice: int, events: list[Event]) -> None:
    reasoning = said.reasoning_content or said.reasoning
    if reasoning:
        events.append(ReasoningDelta(reasoning, choice))
    events.extend(ReasoningSigned(block, choice) for block in said.thinking_blocks or ())
    if said.content:
        events.append(TextDelta(said.content, choice))
    if said.refusal:
        events.append(Refused(said.refusal, choice))

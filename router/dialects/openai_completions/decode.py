"""A backend's text completions in OpenAI's format: bytes to frames."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from router.canonical.events import (
    Ended,
    Event,
    Finished,
    Frame,
    LogprobsReported,
    Started,
    TextDelta,
)
from router.dialects import sse
from router.dialects.failures import UNREADABLE, read_raw
from router.dialects.model_name import Renamer, with_fields, with_model
from router.dialects.openai_answer import Usage
from router.dialects.openai_completions.logprobs import to_hub
from router.dialects.undecoded import ABSENT, check_object, check_text, given
from router.dialects.unstreamed import EventReader
from router.errors import BackendFailed

DONE = b"[DONE]"


class _Choice(Struct):
    index: int = 0
    text: str | None = None
    logprobs: Raw = ABSENT
    finish_reason: str | None = None


class _Chunk(Struct):
    id: str | None = None
    model: str | None = None
    created: float | None = None
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    error: Raw = ABSENT


_DECODER = msgspec.json.Decoder(_Chunk)


class StreamDecoder(EventReader):
    """Reads one streamed answer; `shown` replaces the backend's model name in every frame.

    Unless `strict_end`, an answer whose every choice has its finish reason counts as whole without `[DONE]`; there are
    `choices` of them.
    """

    def __init__(self, shown: str, *, choices: int = 1, strict_end: bool = False) -> None:
        super().__init__(shown)
        self._renamed = Renamer(shown)
        self._choices = choices
        self._strict_end = strict_end
        self._finished: set[int] = set()

    def _whole(self, body: bytes) -> Frame:
        return decode_whole(body, self._shown)

    def _is_whole(self) -> bool:
        return not self._strict_end and len(self._finished) >= self._choices

    def _frames(self, events: Sequence[bytes]) -> list[Frame]:
        frames: list[Frame] = []
        for event in events:
            if self.failure or self._ended:
                break
            text = sse.payload(event)
            if text == DONE:
                frames.append(self._end())
            elif text is not None:
                frames.extend(self._read(event, text))
        return frames

    def _end(self) -> Frame:
        """The end marker, and a finish reason for every choice that the server forgot one for."""
        self._ended = True
        unfinished = sorted(set(range(self._choices)) - self._finished)
        return Frame(b"", (*(Finished("stop", choice) for choice in unfinished), Ended()))

    def _read(self, event: bytes, text: bytes) -> tuple[Frame, ...]:
        try:
            check_text(event)
            chunk = _decoded(text)
        except msgspec.ValidationError:
            return ()
        except UNREADABLE:
            self._break_off("the backend sent a piece that is not valid JSON")
            return ()
        if chunk is None:
            return (Frame(event + b"\n\n", (), unread=True),)
        if given(chunk.error):
            self._break_off(read_raw(chunk.error))
            return ()
        return self._framed(event, text, chunk)

    def _framed(self, event: bytes, text: bytes, chunk: _Chunk) -> tuple[Frame, ...]:
        """What was said, and apart from it a count that came along."""
        events: list[Event] = []
        if not self._started:
            self._started = True
            events.append(Started(chunk.id or "", self._shown, int(chunk.created or 0)))
        for choice in chunk.choices or ():
            _say(choice, events)
            if choice.finish_reason is not None:
                self._finished.add(choice.index)
                events.append(Finished(choice.finish_reason, choice.index))
        if chunk.usage is None:
            return (Frame(self._forwarded(event, text, chunk), tuple(events)),)
        counted = chunk.usage.reported()
        if not chunk.choices:
            frame = Frame(self._forwarded(event, text, chunk), (counted,))
            return (Frame(b"", tuple(events)), frame) if events else (frame,)
        raw = b"data: " + with_fields(text, {"usage": None, "model": self._shown}) + b"\n\n"
        return (Frame(raw, tuple(events)), Frame(b"", (counted,)))

    def _forwarded(self, event: bytes, text: bytes, chunk: _Chunk) -> bytes:
        if b"\n" not in event:
            return self._renamed(event, chunk.model) + b"\n\n"
        return b"data: " + with_fields(text, {"model": self._shown}) + b"\n\n"


def decode_whole(body: bytes, shown: str) -> Frame:
    """A whole answer as one frame; raises BackendFailed for a body that is not one."""
    try:
        check_text(body)
        chunk = _decoded(body)
    except UNREADABLE:
        raise BackendFailed("the backend's answer is not a JSON object") from None
    if chunk is None:
        return Frame(with_fields(body, {"model": shown}), (Started(model=shown), Ended()))
    if given(chunk.error):
        raise BackendFailed(read_raw(chunk.error))
    if chunk.choices is None:
        raise BackendFailed("the backend's answer has no choices")
    events: list[Event] = [Started(chunk.id or "", shown, int(chunk.created or 0))]
    for choice in chunk.choices:
        _say(choice, events)
        events.append(Finished(choice.finish_reason or "stop", choice.index))
    if chunk.usage is not None:
        events.append(chunk.usage.reported())
    return Frame(with_model(body, chunk.model, shown), (*events, Ended()))


def _decoded(text: bytes) -> _Chunk | None:
    """A piece of an answer, or None for an object whose fields have other types than those that are known."""
    try:
        return _DECODER.decode(text)
    except msgspec.ValidationError:
        check_object(text)
        return None


def _say(choice: _Choice, events: list[Event]) -> None:
    if choice.text:
        events.append(TextDelta(choice.text, choice.index))
    if (raw := given(choice.logprobs)) and (content := to_hub(raw)):
        events.append(LogprobsReported(content, choice.index))

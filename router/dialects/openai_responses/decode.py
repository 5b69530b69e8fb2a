"""A backend's answers in the Responses format: bytes to frames."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

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
    ToolCallDelta,
    ToolCallStarted,
)
from router.dialects import sse
from router.dialects.failures import UNREADABLE, read_in_band, read_raw
from router.dialects.model_name import with_fields, with_model
from router.dialects.openai_responses import spoken
from router.dialects.openai_responses.sealed import unsealed
from router.dialects.openai_responses.tools import custom_call, function_name, shell_call
from router.dialects.undecoded import check_text, given
from router.errors import BackendFailed, InvalidParameter, RouterError, StreamBroken

_ENDS = frozenset({"response.completed", "response.incomplete"})
_FAILURES = frozenset({"response.failed", "error"})
_PIECES: Mapping[str, Callable[[str], Event]] = {
    "response.output_text.delta": TextDelta,
    "response.refusal.delta": Refused,
    "response.reasoning_summary_text.delta": ReasoningDelta,
    "response.reasoning_text.delta": ReasoningDelta,
}
_REASONS = {"max_output_tokens": "length", "max_tokens": "length", "content_filter": "content_filter"}
_NO_LOGPROBS = frozenset({b"", b"null", b"[]"})
_CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call"})


class StreamDecoder:
    """Reads one streamed answer; `shown` replaces the backend's model name wherever a response is told."""

    failure: RouterError | None

    def __init__(self, shown: str) -> None:
        self.failure = None
        self._shown = shown
        self._cutter = sse.Cutter()
        self._ended = False
        self._told: set[int] = set()
        self._calls: dict[int, int] = {}

    @property
    def ended(self) -> bool:
        """Whether the end marker has come."""
        return self._ended

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that a read completes; after a failure, nothing."""
        return [frame for event in self._cutter.feed(data) if (frame := self._frame(event)) is not None]

    def finish(self) -> list[Frame]:
        """The end of the connection; raises StreamBroken unless the response was told to be over."""
        frames = [frame for event in self._cutter.finish() if (frame := self._frame(event)) is not None]
        if not self._ended and self.failure is None:
            raise StreamBroken("the backend's answer ended without its end marker")
        return frames

    def _frame(self, event: bytes) -> Frame | None:
        text = None if self._ended or self.failure is not None else sse.payload(event)
        if text is None:
            return None
        try:
            check_text(event)
            record = spoken.EVENT.decode(text)
            events = tuple(self._events(record))
            return Frame(self._forwarded(event, text, record), events) if self.failure is None else None
        except msgspec.ValidationError:
            return Frame(event + b"\n\n", (), unread=True) if text.startswith(b"{") else None
        except UNREADABLE:
            self.failure = StreamBroken("the backend sent a piece that is not valid JSON")
            return None

    def _events(self, record: spoken.Event) -> Iterator[Event]:
        kind = record.type
        if kind in _PIECES:
            self._told.add(record.output_index)
            if record.delta:
                yield _PIECES[kind](record.delta)
        elif kind == "response.function_call_arguments.delta":
            yield from self._argue(record)
        elif kind == "response.output_item.added" and record.item is not None:
            yield from self._begin(record.item, record.output_index)
        elif kind == "response.output_item.done" and record.item is not None:
            yield from self._whole(record.item, record.output_index)
        elif kind == "response.created" and record.response is not None:
            response = record.response
            yield Started(response.id or "", self._shown, int(response.created_at or 0))
        elif kind in _ENDS:
            self._ended = True
            response = record.response or spoken.Response()
            yield from _ending(response, called=bool(self._calls))
        elif kind in _FAILURES or given(record.error) is not None:
            self.failure = StreamBroken(_failure(record))

    def _begin(self, item: spoken.Item, place: int) -> Iterator[Event]:
        if item.type in _CALLS and place not in self._calls:
            index = self._calls[place] = len(self._calls)
            yield ToolCallStarted(index, item.call_id or item.id or "", _name(item))

    def _argue(self, record: spoken.Event) -> Iterator[Event]:
        if record.delta and record.output_index in self._calls:
            self._told.add(record.output_index)
            yield ToolCallDelta(self._calls[record.output_index], record.delta)

    def _whole(self, item: spoken.Item, place: int) -> Iterator[Event]:
        """What was not told in pieces: some servers tell items only when they are whole."""
        if item.type in _CALLS:
            yield from self._begin(item, place)
            if place not in self._told:
                yield ToolCallDelta(self._calls[place], _arguments(item))
        elif item.type == "reasoning":
            yield from _thoughts(item, told=place in self._told)
        elif place not in self._told:
            yield from _said(item)
        self._told.add(place)

    def _forwarded(self, event: bytes, text: bytes, record: spoken.Event) -> bytes:
        """The event as it came; one that tells a whole response, under the name that the client knows."""
        model = record.response.model if record.response is not None else None
        if model is None or model == self._shown:
            return event + b"\n\n"
        fields = spoken.FIELDS.decode(text)
        response = with_fields(bytes(fields["response"]), {"model": self._shown})
        told = with_fields(text, {"response": Raw(response)})
        return b"event: %b\ndata: %b\n\n" % (record.type.encode(), told)


def decode_whole(body: bytes, shown: str) -> Frame:
    """A whole answer as one frame; raises BackendFailed for a body that is not one."""
    try:
        check_text(body)
        response = spoken.RESPONSE.decode(body)
    except UNREADABLE:
        raise BackendFailed("the backend's answer is not a response") from None
    if (failure := _reported(response.error)) is not None:
        raise BackendFailed(failure)
    if response.output is None:
        raise BackendFailed("the backend's answer has no output")
    events: list[Event] = [Started(response.id or "", shown, int(response.created_at or 0))]
    calls = 0
    for item in response.output:
        if item.type in _CALLS:
            events += [ToolCallStarted(calls, item.call_id or item.id or "", _name(item))]
            events += [ToolCallDelta(calls, _arguments(item))]
            calls += 1
        elif item.type == "reasoning":
            events += _thoughts(item, told=False)
        else:
            events += _said(item)
    events += _ending(response, called=bool(calls))
    return Frame(with_model(body, response.model, shown), tuple(events))


def _said(item: spoken.Item) -> Iterator[Event]:
    for part in _parts(item.content):
        if part.refusal:
            yield Refused(part.refusal)
        elif part.text:
            yield TextDelta(part.text)
        if bytes(part.logprobs) not in _NO_LOGPROBS:
            yield LogprobsReported(part.logprobs)


def _thoughts(item: spoken.Item, *, told: bool) -> Iterator[Event]:
    parts = () if told else (*_parts(item.summary), *_parts(item.content))
    yield from (ReasoningDelta(part.text) for part in parts if part.text)
    yield from (ReasoningSigned(block) for block in unsealed(item.encrypted_content))


def _parts(content: Sequence[spoken.Part] | None) -> Sequence[spoken.Part]:
    return content or ()


def _name(item: spoken.Item) -> str:
    return function_name(item.name or item.type.removesuffix("_call"), item.namespace)


def _arguments(item: spoken.Item) -> str:
    """The arguments of the function that a tool of any type is here."""
    if item.type == "custom_tool_call":
        return custom_call("", "", item.input or "").arguments
    if item.type != "local_shell_call":
        return item.arguments or "{}"
    try:
        return shell_call("", item.action).arguments
    except InvalidParameter:
        return "{}"


def _ending(response: spoken.Response, *, called: bool) -> Iterator[Event]:
    details = response.incomplete_details
    cut = _REASONS.get(details.reason or "", "length") if details is not None else None
    yield Finished(cut or ("tool_calls" if called else "stop"))
    if response.usage is not None:
        yield response.usage.reported()
    yield Ended()


def _failure(record: spoken.Event) -> str:
    told: dict[str, Any] = {"message": record.message or "", "code": record.code}
    within = _reported(record.response.error) if record.response is not None else None
    return within or _reported(record.error) or read_in_band(told)


def _reported(error: Raw) -> str | None:
    found = given(error)
    return None if found is None else read_raw(found)

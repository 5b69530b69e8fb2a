"""Answers for clients of the Responses API: events to bytes."""

from collections.abc import Callable, Mapping, Sequence
from time import time
from typing import Any, ClassVar

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
    UsageReported,
)
from router.canonical.fold import Choice, Completed
from router.dialects.model_name import with_fields
from router.dialects.openai_responses.ids import NAME, new_id
from router.dialects.openai_responses.output import CallItem, Item, MessageItem, ReasoningItem, Writer
from router.dialects.openai_responses.request import Asked
from router.errors import RateLimited, RouterError

Keep = Callable[[str, Sequence[Raw]], None]
"""Told once, when an answer is whole: its id, and its items."""

_DEFAULTS: Mapping[str, Any] = {
    "instructions": None, "max_output_tokens": None, "metadata": {}, "parallel_tool_calls": True,
    "previous_response_id": None, "reasoning": {"effort": None, "summary": None}, "store": True, "temperature": None,
    "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": None, "truncation": "disabled",
    "user": None,
}  # fmt: skip
_ENDS = {"length": "max_output_tokens", "content_filter": "content_filter"}


def _forget(_: str, __: Sequence[Raw]) -> None:
    pass


class Encoder:
    """Writes one streamed answer, or one whole one. A client of this format gets one choice, the first."""

    dialect: ClassVar[str] = NAME
    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"

    def __init__(self, asked: Asked, keep: Keep = _forget) -> None:
        self._asked = asked
        self._keep = keep
        self._id = new_id("resp")
        self._created = int(time())
        self._writer = Writer()
        self._open: dict[int | str, Item] = {}
        self._saying: MessageItem | None = None
        self._count = 0
        self._done: dict[int, Mapping[str, Any]] = {}
        self._usage: UsageReported | None = None
        self._reason = ""
        self._begun = False

    @property
    def wants_usage(self) -> bool:
        """Every response ends with what it cost."""
        return True

    def forward(self, frame: Frame) -> bytes:
        """No backend is asked in this format."""
        return self.encode(frame.events)

    def encode(self, events: Sequence[Event]) -> bytes:
        """The events of the format that tell these; nearly always one more piece of the text that is under way."""
        if (
            len(events) == 1
            and type(event := events[0]) is TextDelta
            and self._saying
            and event.text
            and not event.choice
        ):
            self._saying.say(event.text, self._writer)
            return self._writer.taken()
        for event in events:
            if not getattr(event, "choice", 0):
                self._take(event)
        return self._writer.taken()

    def error(self, error: RouterError) -> bytes:
        """The failure, and the response as it ends with it; nothing follows."""
        self._begin()
        message = error.message
        if isinstance(error, RateLimited) and error.retry_after is not None:
            message = f"{message} Please try again in {error.retry_after:g}s."
        self._writer.event("error", code=error.code, message=message, param=error.param)
        failure = {"code": error.code, "message": message}
        self._writer.event("response.failed", response=self._response("failed", error=failure))
        return self._writer.taken()

    def whole(self, completed: Completed) -> bytes:
        """A `response` body."""
        self._usage = completed.usage
        for event in _events(completed.choices[0] if completed.choices else Choice()):
            self._take(event)
        return msgspec.json.encode(self._end())

    def amended(
        self, raw: bytes, *, choices: Sequence[Choice] | None = None, usage: UsageReported | None = None
    ) -> bytes:
        """A `response` body with other items or other counts; what else it says stays."""
        changes: dict[str, Any] = {}
        if choices:
            for event in _events(choices[0]):
                self._take(event)
            changes["output"] = self._output()
        if usage is not None:
            changes["usage"] = usage_object(usage)
        return with_fields(raw, changes)

    def _take(self, event: Event) -> None:
        self._begin()
        self._saying = None
        match event:
            case TextDelta() if event.text:
                self._saying = self._message()
                self._saying.say(event.text, self._writer)
            case ReasoningDelta() if event.text:
                self._reasoning(fresh=True).think(event.text, self._writer)
            case ReasoningSigned():
                self._reasoning().sign(event.block)
            case Refused() if event.text:
                self._message(refused=True).refuse(event.text, self._writer)
            case LogprobsReported():
                if isinstance(message := self._open.get("message"), MessageItem):
                    message.weigh(event.content)
            case UsageReported():
                self._usage = event if self._usage is None else self._usage.merged(event)
            case Finished():
                self._reason = event.reason
                self._close(*self._open, status="incomplete" if event.reason in _ENDS else "completed")
            case Ended():
                self._tell_end()
            case _:
                self._take_call(event)

    def _take_call(self, event: Event) -> None:
        if isinstance(event, ToolCallStarted):
            self._close("reasoning", "message")
            origin = self._asked.tools.origin(event.name)
            self._open[event.index] = CallItem(self._next(), event.id, origin, self._writer)
        elif isinstance(event, ToolCallDelta):
            call = self._open.get(event.index)
            if isinstance(call, CallItem):
                call.argue(event.arguments, self._writer)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            response = self._response("in_progress")
            self._writer.event("response.created", response=response)
            self._writer.event("response.in_progress", response=response)

    def _message(self, *, refused: bool = False) -> MessageItem:
        """The message that is being written; text after a refusal begins another."""
        self._close("reasoning")
        found = self._open.get("message")
        if isinstance(found, MessageItem) and (refused or not found.is_refused):
            return found
        self._close("message")
        made = self._open["message"] = MessageItem(self._next(), self._writer)
        return made

    def _reasoning(self, *, fresh: bool = False) -> ReasoningItem:
        """The thoughts that are being written; with `fresh`, not those that are signed already.

        Whatever was said before them ends here, so that clients who keep items as they end keep their order.
        """
        self._close(*(key for key in self._open if key != "reasoning"))
        found = self._open.get("reasoning")
        if isinstance(found, ReasoningItem) and not (fresh and found.is_signed):
            return found
        self._close("reasoning")
        made = self._open["reasoning"] = ReasoningItem(self._next(), self._writer)
        return made

    def _next(self) -> int:
        self._count += 1
        return self._count - 1

    def _close(self, *keys: int | str, status: str = "completed") -> None:
        """Ends items in their order; only the last one is cut where the answer was."""
        found = sorted((self._open.pop(key) for key in keys if key in self._open), key=lambda item: item.index)
        for item in found:
            is_last = item.index == self._count - 1
            self._done[item.index] = item.close(self._writer, status if is_last else "completed")

    def _output(self) -> list[Mapping[str, Any]]:
        return [item for _, item in sorted(self._done.items())]

    def _tell_end(self) -> None:
        response = self._end()
        self._writer.event(f"response.{response['status']}", response=response)

    def _end(self) -> dict[str, Any]:
        """The whole response, which is kept if it is to be."""
        self._begin()
        self._close(*self._open)
        self._keep(self._id, [Raw(msgspec.json.encode(item)) for item in self._output()])
        if (why := _ENDS.get(self._reason)) is not None:
            return self._response("incomplete", incomplete_details={"reason": why})
        return self._response("completed", completed_at=int(time()))

    def _response(self, status: str, **more: Any) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": self._asked.chat.model,
            "output": self._output(),
            **_DEFAULTS,
            **self._asked.shown,
            "usage": None if self._usage is None else usage_object(self._usage),
            **more,
        }


def usage_object(usage: UsageReported) -> dict[str, Any]:
    """Token counts in the format's shape; what was not counted is 0."""
    prompt, completion = usage.prompt or 0, usage.completion or 0
    body: dict[str, Any] = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": usage.cached or 0, "cache_write_tokens": usage.cache_written or 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": prompt + completion,
    }
    return {**body, "estimated": True} if usage.estimated else body


def _events(choice: Choice) -> list[Event]:
    """What a whole answer would have said as a stream."""
    events: list[Event] = [Started(), ReasoningDelta(choice.reasoning)]
    events += [ReasoningSigned(block) for block in choice.reasoning_blocks]
    events.append(TextDelta(choice.text))
    if choice.refusal is not None:
        events.append(Refused(choice.refusal))
    if choice.logprobs is not None:
        events.append(LogprobsReported(choice.logprobs))
    for index, call in enumerate(choice.tool_calls):
        events += [ToolCallStarted(index, call.id, call.name), ToolCallDelta(index, call.arguments)]
    return [*events, Finished(choice.finish_reason or "stop")]

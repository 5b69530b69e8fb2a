"""Answers for Anthropic's clients: events to bytes."""

from collections.abc import Sequence
from random import getrandbits
from typing import Any, ClassVar

import msgspec

from router.canonical.events import Ended, Event, Finished, Frame, Refused, Started, TextDelta, UsageReported
from router.canonical.fold import Choice, Completed
from router.canonical.request import ToolCall
from router.dialects.anthropic_messages.blocks import clean_id
from router.dialects.anthropic_messages.flow import Flow, named
from router.dialects.anthropic_messages.names import NAME
from router.dialects.anthropic_messages.told import error_object
from router.dialects.failures import UNREADABLE
from router.dialects.model_name import counted, with_fields
from router.errors import RouterError

PING = b'event: ping\ndata: {"type": "ping"}\n\n'

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Encoder:
    """Writes one streamed answer, or one whole one; `model` is what the client is told."""

    dialect: ClassVar[str] = NAME
    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"

    def __init__(self, *, model: str) -> None:
        self._model = model
        self._begun = False
        self._blocks = Flow()
        self._usage: UsageReported | None = None
        self._reason = "stop"
        self._refusal: str | None = None

    @property
    def wants_usage(self) -> bool:
        """Every stream tells what it cost."""
        return True

    def forward(self, frame: Frame) -> bytes:
        """A frame of Claude as it came."""
        if not frame.raw:
            return self.encode(frame.events)
        self._begun = True
        self._blocks.follow(frame.raw)
        for event in frame.events:
            if isinstance(event, UsageReported):
                self._count(event)
        return frame.raw

    def encode(self, events: Sequence[Event]) -> bytes:
        """The events of the stream that tell these."""
        if len(events) == 1 and type(event := events[0]) is TextDelta and not event.choice:
            fast = self._blocks.text(event)
            if fast is not None:
                return fast
        out: list[bytes] = []
        for event in events:
            self._tell(event, out)
        return b"".join(out)

    def _tell(self, event: Event, out: list[bytes]) -> None:
        match event:
            case UsageReported():
                self._count(event)
            case Finished():
                self._reason = event.reason if not event.choice else self._reason
            case Refused():
                self._refusal = (self._refusal or "") + event.text
            case Ended():
                self._begin(out)
                self._blocks.finish(out)
                self._end(out)
            case Started():
                self._begin(out)
            case _:
                self._begin(out)
                self._blocks.take(event, out)

    def error(self, error: RouterError) -> bytes:
        """The failure as an event; nothing follows it."""
        return named("error", {"error": error_object(error)})

    def whole(self, completed: Completed) -> bytes:
        """A `message` body."""
        choice = completed.choices[0] if completed.choices else Choice()
        body = self._head() | _ending(choice.finish_reason or "stop", choice.refusal, called=bool(choice.tool_calls))
        body["content"] = _content(choice)
        body["usage"] = usage_object(completed.usage or UsageReported())
        return msgspec.json.encode(body)

    def amended(
        self, raw: bytes, *, choices: Sequence[Choice] | None = None, usage: UsageReported | None = None
    ) -> bytes:
        """Claude's own `message` with other content or other counts; what else it says stays."""
        changes: dict[str, Any] = {}
        if choices:
            changes["content"] = _content(choices[0])
        if usage is not None:
            changes["usage"] = counted(raw, usage_object(usage))
        return with_fields(raw, changes)

    def _head(self) -> dict[str, Any]:
        return {
            "id": f"msg_{getrandbits(96):024x}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _begin(self, out: list[bytes]) -> None:
        """How every stream opens, once. Most backends count at the end."""
        if self._begun:
            return
        self._begun = True
        usage = usage_object(self._usage or UsageReported())
        out.append(named("message_start", {"message": {**self._head(), "usage": usage}}))
        out.append(PING)

    def _end(self, out: list[bytes]) -> None:
        delta = _ending(self._reason, self._refusal, called=self._blocks.called)
        usage = usage_object(self._usage or UsageReported())
        out.append(named("message_delta", {"delta": delta, "usage": usage}))
        out.append(named("message_stop", {}))

    def _count(self, usage: UsageReported) -> None:
        self._usage = usage if self._usage is None else self._usage.merged(usage)


def usage_object(usage: UsageReported) -> dict[str, Any]:
    """Token counts in Anthropic's shape, where the input is what did not come from a cache or go there."""
    read, written = usage.cached or 0, usage.cache_written or 0
    body: dict[str, Any] = {
        "input_tokens": max(0, (usage.prompt or 0) - read - written),
        "output_tokens": usage.completion or 0,
    }
    if usage.cached is not None:
        body["cache_read_input_tokens"] = read
    if usage.cache_written is not None:
        body["cache_creation_input_tokens"] = written
    if usage.reasoning is not None:
        body["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.estimated:
        body["estimated"] = True
    return body


def _ending(reason: str, refusal: str | None, *, called: bool) -> dict[str, Any]:
    """Why the answer ended. A client acts on a call only if that is the reason, which not every server says."""
    told = "tool_use" if called and reason == "stop" else _STOP_REASONS.get(reason, "end_turn")
    ending: dict[str, Any] = {"stop_reason": "refusal" if refusal is not None else told, "stop_sequence": None}
    if refusal is not None:
        ending["stop_details"] = {"type": "refusal", "category": None, "explanation": refusal}
    return ending


def _content(choice: Choice) -> list[Any]:
    blocks: list[Any] = [*choice.reasoning_blocks]
    if choice.reasoning and not blocks:
        blocks.append({"type": "thinking", "thinking": choice.reasoning, "signature": ""})
    if choice.text:
        blocks.append({"type": "text", "text": choice.text})
    return blocks + [_tool_use(call, at) for at, call in enumerate(choice.tool_calls)]


def _tool_use(call: ToolCall, at: int) -> dict[str, Any]:
    """A call whose arguments are no object has none: this format cannot say them."""
    try:
        arguments: Any = _OBJECT.decode(call.arguments or "{}")
    except UNREADABLE:
        arguments = {}
    return {"type": "tool_use", "id": clean_id(call.id, f"toolu_{at}"), "name": call.name, "input": arguments}

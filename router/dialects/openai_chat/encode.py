"""Chat answers for OpenAI's clients: events to bytes."""

from collections.abc import Sequence
from time import time
from typing import Any, ClassVar

import msgspec

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
from router.dialects.model_name import counted, with_fields
from router.dialects.openai_answer import render_error, usage_object
from router.dialects.openai_chat.ids import NAME, new_completion_id
from router.errors import RouterError

_encode = msgspec.json.Encoder().encode


class Encoder:
    """Writes one streamed answer, or one whole one.

    `model` is what the client is told; usage is sent only when `include_usage`, once, before the end marker.
    """

    dialect: ClassVar[str] = NAME
    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"

    def __init__(self, *, model: str, include_usage: bool) -> None:
        self._model = model
        self._include_usage = include_usage
        self._head = b""
        self._opened: set[int] = set()
        self._forwarded = False
        self._usage: UsageReported | None = None
        self._usage_frames: list[bytes] = []

    @property
    def wants_usage(self) -> bool:
        """Whether a stream has to tell what it cost."""
        return self._include_usage

    def forward(self, frame: Frame) -> bytes:
        """A frame of a backend of the same format; usage-only frames wait for the end, and go if not asked for."""
        events = frame.events
        if not frame.raw:
            return self.encode(events)
        if not events:
            return frame.raw
        self._forwarded = True
        if type(first := events[0]) is Started:
            self._open(first)
        if type(last := events[-1]) is UsageReported:
            self._count(last)
            if len(events) == 1:
                self._usage_frames.append(frame.raw)
                return b""
        return frame.raw

    def encode(self, events: Sequence[Event]) -> bytes:
        """The chunks that tell these events: reasoning, then content and tool calls, then the finish."""
        if len(events) == 1 and type(event := events[0]) is TextDelta and event.choice in self._opened and event.text:
            return b'%b,"choices":[{"index":%d,"delta":{"content":%b},"finish_reason":null}]}\n\n' % (
                self._head,
                event.choice,
                _encode(event.text),
            )
        return self._encode(events)

    def _encode(self, events: Sequence[Event]) -> bytes:
        out: list[bytes] = []
        deltas = _Deltas()
        for event in events:
            if isinstance(event, Started):
                self._open(event)
            elif isinstance(event, UsageReported):
                self._count(event)
            elif isinstance(event, Finished):
                self._flush(deltas, out)
                self._finish(event, out)
            elif isinstance(event, Ended):
                self._flush(deltas, out)
                out.append(self._end())
            elif not deltas.takes(event):
                self._flush(deltas, out)
                deltas.takes(event)
        self._flush(deltas, out)
        if events and not out and type(events[0]) is Started:
            out.append(self._opening(0))
        return b"".join(out)

    def error(self, error: RouterError) -> bytes:
        """The failure as an event; nothing follows it."""
        return b"data: " + render_error(error) + b"\n\n"

    def whole(self, completed: Completed) -> bytes:
        """A `chat.completion` body."""
        body: dict[str, Any] = {
            "id": completed.id or new_completion_id(),
            "object": "chat.completion",
            "created": completed.created or int(time()),
            "model": self._model,
            "choices": [_whole_choice(choice) for choice in completed.choices],
        }
        if completed.usage is not None:
            body["usage"] = usage_object(completed.usage)
        return _encode(body)

    def amended(
        self, raw: bytes, *, choices: Sequence[Choice] | None = None, usage: UsageReported | None = None
    ) -> bytes:
        """A backend's own `chat.completion` with other choices or other counts; what else it says stays."""
        changes: dict[str, Any] = {}
        if choices is not None:
            changes["choices"] = [_whole_choice(choice) for choice in choices]
        if usage is not None:
            changes["usage"] = counted(raw, usage_object(usage))
        return with_fields(raw, changes)

    def _open(self, started: Started) -> None:
        head = {
            "id": started.id or new_completion_id(),
            "object": "chat.completion.chunk",
            "created": started.created or int(time()),
            "model": self._model,
        }
        self._head = b"data: " + _encode(head)[:-1]

    def _count(self, usage: UsageReported) -> None:
        self._usage = usage if self._usage is None else self._usage.merged(usage)
        if usage.estimated:
            self._usage_frames.clear()

    def _chunk(self, choices: Any, **more: Any) -> bytes:
        if not self._head:
            self._open(Started())
        return self._head + b"," + _encode({"choices": choices, **more})[1:] + b"\n\n"

    def _flush(self, deltas: "_Deltas", out: list[bytes]) -> None:
        for delta in deltas.taken():
            if not self._forwarded and deltas.choice not in self._opened:
                self._opened.add(deltas.choice)
                delta = {"role": "assistant", **delta}  # noqa: PLW2901
            choice: dict[str, Any] = {"index": deltas.choice, "delta": delta, "finish_reason": None}
            if deltas.logprobs is not None:
                choice["logprobs"] = {"content": deltas.logprobs}
                deltas.logprobs = None
            out.append(self._chunk([choice]))
        deltas.clear()

    def _finish(self, event: Finished, out: list[bytes]) -> None:
        if not self._forwarded and event.choice not in self._opened:
            out.append(self._opening(event.choice))
        out.append(self._chunk([{"index": event.choice, "delta": {}, "finish_reason": event.reason}]))

    def _opening(self, choice: int) -> bytes:
        """A chunk that says nothing but who speaks."""
        self._opened.add(choice)
        opening = {"role": "assistant", "content": ""}
        return self._chunk([{"index": choice, "delta": opening, "finish_reason": None}])

    def _end(self) -> bytes:
        if not self._include_usage or self._usage is None:
            return b"data: [DONE]\n\n"
        if len(self._usage_frames) == 1:
            return self._usage_frames[0] + b"data: [DONE]\n\n"
        return self._chunk([], usage=usage_object(self._usage)) + b"data: [DONE]\n\n"


class _Deltas:
    """What one frame adds to one choice, gathered into as few chunks as the format allows."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.choice = 0
        self.logprobs: msgspec.Raw | None = None
        self._empty = True
        self._reasoning = ""
        self._blocks: list[msgspec.Raw] = []
        self._text = ""
        self._refusal = ""
        self._calls: list[dict[str, Any]] = []

    def takes(self, event: Event) -> bool:
        """Adds a delta; False when it has to wait for the next chunk."""
        choice = getattr(event, "choice", 0)
        if not self._empty and choice != self.choice:
            return False
        if isinstance(event, ReasoningDelta):
            if self._blocks or self._text or self._calls:
                return False
            self._reasoning += event.text
        elif isinstance(event, ReasoningSigned):
            if self._text or self._calls:
                return False
            self._blocks.append(event.block)
        elif isinstance(event, TextDelta):
            self._text += event.text
        elif isinstance(event, Refused):
            self._refusal += event.text
        elif isinstance(event, LogprobsReported):
            if self.logprobs is not None:
                return False
            self.logprobs = event.content
        elif isinstance(event, ToolCallStarted):
            function = {"name": event.name, "arguments": ""}
            self._calls.append({"index": event.index, "id": event.id, "type": "function", "function": function})
        elif isinstance(event, ToolCallDelta):
            self._argue(event)
        self.choice, self._empty = choice, False
        return True

    def _argue(self, event: ToolCallDelta) -> None:
        for call in self._calls:
            if call["index"] == event.index:
                call["function"]["arguments"] += event.arguments
                return
        self._calls.append({"index": event.index, "function": {"arguments": event.arguments}})

    def taken(self) -> list[dict[str, Any]]:
        deltas: list[dict[str, Any]] = []
        if self._reasoning:
            deltas.append({"reasoning_content": self._reasoning})
        if self._blocks:
            deltas.append({"thinking_blocks": self._blocks})
        rest: dict[str, Any] = {}
        if self._text:
            rest["content"] = self._text
        if self._refusal:
            rest["refusal"] = self._refusal
        if self._calls:
            rest["tool_calls"] = self._calls
        if rest or (self.logprobs is not None and not deltas):
            deltas.append(rest or {"content": ""})
        return deltas


def _whole_choice(choice: Choice) -> dict[str, Any]:
    is_null = bool(choice.tool_calls) or choice.refusal is not None
    message: dict[str, Any] = {"role": "assistant", "content": choice.text or (None if is_null else "")}
    if choice.refusal is not None:
        message["refusal"] = choice.refusal
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.reasoning_blocks:
        message["thinking_blocks"] = choice.reasoning_blocks
    if choice.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in choice.tool_calls
        ]
    body: dict[str, Any] = {"index": choice.index, "message": message, "finish_reason": choice.finish_reason or "stop"}
    body["logprobs"] = None if choice.logprobs is None else {"content": choice.logprobs}
    return body

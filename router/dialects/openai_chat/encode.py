"""Chat answers for OpenAI's clients: events to bytes."""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from router.canonical.events import (
    Ended,
    Event,
    Finished,
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
from router.canonical.fold import Choice
from router.dialects.openai_chat.ids import NAME, new_completion_id
from router.dialects.openai_encoder import CompletionEncoder, encode_json


class Encoder(CompletionEncoder):
    """Writes chat completions."""

    dialect: ClassVar[str] = NAME
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"
    new_id = staticmethod(new_completion_id)

    def __init__(self, *, model: str, include_usage: bool) -> None:
        super().__init__(model=model, include_usage=include_usage)
        self._opened: set[int] = set()

    def encode(self, events: Sequence[Event]) -> bytes:
        """The chunks that tell these events: reasoning, then content and tool calls, then the finish."""
        if len(events) == 1 and type(event := events[0]) is TextDelta and event.choice in self._opened and event.text:
            return b'%b,"choices":[{"index":%d,"delta":{"content":%b},"finish_reason":null}]}\n\n' % (
                self._head,
                event.choice,
                encode_json(event.text),
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

    def _whole_choice(self, choice: Choice) -> dict[str, Any]:
        return _whole_choice(choice)

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

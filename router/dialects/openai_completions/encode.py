"""Text completions for OpenAI's clients: events to bytes."""

from collections.abc import Sequence
from time import time
from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from router.canonical.events import (
    Echoed,
    Ended,
    Event,
    Finished,
    Frame,
    LogprobsReported,
    Refused,
    Started,
    TextDelta,
    UsageReported,
)
from router.canonical.fold import Choice, Completed
from router.dialects.model_name import counted, with_fields
from router.dialects.openai_answer import render_error, usage_object
from router.dialects.openai_completions.ids import NAME, new_completion_id
from router.dialects.openai_completions.logprobs import Offsets
from router.errors import RouterError

_encode = msgspec.json.Encoder().encode
_REASONS = {"tool_calls": "stop"}


class Encoder:
    """Writes one streamed answer, or one whole one. Reasoning and tool calls have no place here.

    `model` is what the client is told; usage is sent only when `include_usage`, once, before the end marker. Each token
    is told with at most `top_logprobs` others.
    """

    dialect: ClassVar[str] = NAME
    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"

    def __init__(self, *, model: str, include_usage: bool, top_logprobs: int = 0) -> None:
        self._model = model
        self._include_usage = include_usage
        self._top = top_logprobs
        self._head = b""
        self._offsets = Offsets()
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
        if type(first := events[0]) is Started:
            self._open(first)
        if type(last := events[-1]) is UsageReported:
            self._count(last)
            if len(events) == 1:
                self._usage_frames.append(frame.raw)
                return b""
        return frame.raw

    def encode(self, events: Sequence[Event]) -> bytes:
        """The chunks that tell these events."""
        out: list[bytes] = []
        for event in events:
            match event:
                case TextDelta() | Refused():
                    out.append(self._said(event.choice, text=event.text))
                case Echoed():
                    self._offsets.skip(event.choice, event.text)
                    out.append(self._said(event.choice, text=event.text))
                case LogprobsReported():
                    out.append(self._said(event.choice, logprobs=self._lists(event.content, event.choice)))
                case Finished():
                    out.append(self._said(event.choice, reason=_REASONS.get(event.reason, event.reason)))
                case Started():
                    self._open(event)
                case UsageReported():
                    self._count(event)
                case Ended():
                    out.append(self._end())
                case _:
                    pass
        return b"".join(out)

    def error(self, error: RouterError) -> bytes:
        """The failure as an event; nothing follows it."""
        return b"data: " + render_error(error) + b"\n\n"

    def whole(self, completed: Completed) -> bytes:
        """A `text_completion` body."""
        body: dict[str, Any] = {
            "id": completed.id or new_completion_id(),
            "object": "text_completion",
            "created": completed.created or int(time()),
            "model": self._model,
            "choices": [self._whole(choice) for choice in completed.choices],
        }
        if completed.usage is not None:
            body["usage"] = usage_object(completed.usage)
        return _encode(body)

    def amended(
        self, raw: bytes, *, choices: Sequence[Choice] | None = None, usage: UsageReported | None = None
    ) -> bytes:
        """A backend's own body with other choices or other counts; what else it says stays."""
        changes: dict[str, Any] = {}
        if choices is not None:
            changes["choices"] = [self._whole(choice) for choice in choices]
        if usage is not None:
            changes["usage"] = counted(raw, usage_object(usage))
        return with_fields(raw, changes)

    def _whole(self, choice: Choice) -> dict[str, Any]:
        text = choice.text if choice.refusal is None else choice.refusal
        lists: dict[str, Any] | None = None
        if choice.logprobs is not None and (lists := self._lists(choice.logprobs, choice.index)) is not None:
            echoed = max(0, len(text) - sum(map(len, lists["tokens"])))
            lists["text_offset"] = [offset + echoed for offset in lists["text_offset"]]
        reason = _REASONS.get(choice.finish_reason or "stop", choice.finish_reason or "stop")
        return {"text": text, "index": choice.index, "logprobs": lists, "finish_reason": reason}

    def _lists(self, content: Raw, choice: int) -> dict[str, Any] | None:
        return self._offsets.lists(content, choice, self._top)

    def _open(self, started: Started) -> None:
        head = {
            "id": started.id or new_completion_id(),
            "object": "text_completion",
            "created": started.created or int(time()),
            "model": self._model,
        }
        self._head = b"data: " + _encode(head)[:-1]

    def _count(self, usage: UsageReported) -> None:
        self._usage = usage if self._usage is None else self._usage.merged(usage)
        if usage.estimated:
            self._usage_frames.clear()

    def _said(
        self, choice: int, *, text: str = "", logprobs: dict[str, Any] | None = None, reason: str | None = None
    ) -> bytes:
        said = {"text": text, "index": choice, "logprobs": logprobs, "finish_reason": reason}
        return self._chunk([said])

    def _chunk(self, choices: Any, **more: Any) -> bytes:
        if not self._head:
            self._open(Started())
        return self._head + b"," + _encode({"choices": choices, **more})[1:] + b"\n\n"

    def _end(self) -> bytes:
        if not self._include_usage or self._usage is None:
            return b"data: [DONE]\n\n"
        if len(self._usage_frames) == 1:
            return self._usage_frames[0] + b"data: [DONE]\n\n"
        return self._chunk([], usage=usage_object(self._usage)) + b"data: [DONE]\n\n"

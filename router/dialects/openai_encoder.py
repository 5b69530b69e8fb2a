"""What the two completion formats of OpenAI share when answers are written: one head, choices, usage at the end."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from time import time
from typing import Any, ClassVar

import msgspec

from router.canonical.events import Event, Frame, Started, UsageReported
from router.canonical.fold import Choice, Completed
from router.dialects.model_name import counted, with_fields
from router.dialects.openai_answer import render_error, usage_object
from router.errors import RouterError

encode_json = msgspec.json.Encoder().encode


class CompletionEncoder(ABC):
    """Writes one streamed answer, or one whole one.

    `model` is what the client is told; usage is sent only when `include_usage`, once, before the end marker.
    """

    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    whole_object: ClassVar[str]
    chunk_object: ClassVar[str]

    def __init__(self, *, model: str, include_usage: bool) -> None:
        self._model = model
        self._include_usage = include_usage
        self._head = b""
        self._forwarded = False
        self._usage: UsageReported | None = None
        self._usage_frames: list[bytes] = []

    @property
    def wants_usage(self) -> bool:
        """Whether a stream has to tell what it cost."""
        return self._include_usage

    @staticmethod
    @abstractmethod
    def new_id() -> str:
        """An id for an answer whose backend gave none."""

    @abstractmethod
    def encode(self, events: Sequence[Event]) -> bytes:
        """The chunks that tell these events."""

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

    def error(self, error: RouterError) -> bytes:
        """The failure as an event; nothing follows it."""
        return b"data: " + render_error(error) + b"\n\n"

    def whole(self, completed: Completed) -> bytes:
        """The body of an answer that is not streamed."""
        body = self._header(self.whole_object, completed.id, completed.created)
        body["choices"] = [self._whole_choice(choice) for choice in completed.choices]
        if completed.usage is not None:
            body["usage"] = usage_object(completed.usage)
        return encode_json(body)

    def amended(
        self, raw: bytes, *, choices: Sequence[Choice] | None = None, usage: UsageReported | None = None
    ) -> bytes:
        """A backend's own body with other choices or other counts; what else it says stays."""
        changes: dict[str, Any] = {}
        if choices is not None:
            changes["choices"] = [self._whole_choice(choice) for choice in choices]
        if usage is not None:
            changes["usage"] = counted(raw, usage_object(usage))
        return with_fields(raw, changes)

    @abstractmethod
    def _whole_choice(self, choice: Choice) -> dict[str, Any]:
        """One of a whole answer's choices."""

    def _header(self, kind: str, id_: str, created: int) -> dict[str, Any]:
        return {"id": id_ or self.new_id(), "object": kind, "created": created or int(time()), "model": self._model}

    def _open(self, started: Started) -> None:
        self._head = b"data: " + encode_json(self._header(self.chunk_object, started.id, started.created))[:-1]

    def _count(self, usage: UsageReported) -> None:
        self._usage = usage if self._usage is None else self._usage.merged(usage)
        if usage.estimated:
            self._usage_frames.clear()

    def _chunk(self, choices: Any, **more: Any) -> bytes:
        if not self._head:
            self._open(Started())
        return self._head + b"," + encode_json({"choices": choices, **more})[1:] + b"\n\n"

    def _end(self) -> bytes:
        if not self._include_usage or self._usage is None:
            return b"data: [DONE]\n\n"
        if len(self._usage_frames) == 1:
            return self._usage_frames[0] + b"data: [DONE]\n\n"
        return self._chunk([], usage=usage_object(self._usage)) + b"data: [DONE]\n\n"

"""Text completions for OpenAI's clients: events to bytes."""

from collections.abc import Sequence
from typing import Any, ClassVar

from msgspec import Raw

from router.canonical.events import (
    Echoed,
    Ended,
    Event,
    Finished,
    LogprobsReported,
    Refused,
    Started,
    TextDelta,
    UsageReported,
)
from router.canonical.fold import Choice
from router.dialects.openai_completions.ids import NAME, new_completion_id
from router.dialects.openai_completions.logprobs import Offsets
from router.dialects.openai_encoder import CompletionEncoder

_REASONS = {"tool_calls": "stop"}


class Encoder(CompletionEncoder):
    """Writes text completions. Reasoning and tool calls have no place here.

    Each token is told with at most `top_logprobs` others.
    """

    dialect: ClassVar[str] = NAME
    whole_object = chunk_object = "text_completion"
    new_id = staticmethod(new_completion_id)

    def __init__(self, *, model: str, include_usage: bool, top_logprobs: int = 0) -> None:
        super().__init__(model=model, include_usage=include_usage)
        self._top = top_logprobs
        self._offsets = Offsets()

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

    def _whole_choice(self, choice: Choice) -> dict[str, Any]:
        text = choice.text if choice.refusal is None else choice.refusal
        lists: dict[str, Any] | None = None
        if choice.logprobs is not None and (lists := self._lists(choice.logprobs, choice.index)) is not None:
            echoed = max(0, len(text) - sum(map(len, lists["tokens"])))
            lists["text_offset"] = [offset + echoed for offset in lists["text_offset"]]
        reason = _REASONS.get(choice.finish_reason or "stop", choice.finish_reason or "stop")
        return {"text": text, "index": choice.index, "logprobs": lists, "finish_reason": reason}

    def _lists(self, content: Raw, choice: int) -> dict[str, Any] | None:
        return self._offsets.lists(content, choice, self._top)

    def _said(
        self, choice: int, *, text: str = "", logprobs: dict[str, Any] | None = None, reason: str | None = None
    ) -> bytes:
        said = {"text": text, "index": choice, "logprobs": logprobs, "finish_reason": reason}
        return self._chunk([said])

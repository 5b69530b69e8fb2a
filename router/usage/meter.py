"""Counts from passing events."""

from collections.abc import Sequence

from router.canonical.events import (
    Event,
    Finished,
    ReasoningDelta,
    ReasoningSigned,
    Refused,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    UsageReported,
)

_NO_TEXT = (ReasoningDelta, ReasoningSigned, Refused, ToolCallStarted, ToolCallDelta, Finished)


class Meter:
    """What one answer has cost so far: the backend's counts, merged field by field, and when it began to come.

    `first_content_at` is seconds of the event loop's clock.

    `is_plain_text` is whether nothing but text was said, and no end of it.

    `said` and `calls` are what is counted when the backend does not count: every text, and how many tools were called.
    """

    __slots__ = ("calls", "first_content_at", "is_plain_text", "said", "usage")

    def __init__(self) -> None:
        self.first_content_at: float | None = None
        self.usage: UsageReported | None = None
        self.said: list[str] = []
        self.calls = 0
        self.is_plain_text = True

    def observe(self, events: Sequence[Event]) -> None:
        """Takes note of the events of one frame."""
        if len(events) == 1 and type(event := events[0]) is TextDelta:  # as nearly all are
            self.said.append(event.text)
            return
        for event in events:
            self.is_plain_text = self.is_plain_text and not isinstance(event, _NO_TEXT)
            if type(event) is TextDelta or type(event) is ReasoningDelta or type(event) is Refused:
                self.said.append(event.text)
            elif type(event) is UsageReported:
                self.usage = event if self.usage is None else self.usage.merged(event)
            elif type(event) is ToolCallDelta:
                self.said.append(event.arguments)
            elif type(event) is ToolCallStarted:
                self.said.append(event.name)
                self.calls += 1

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to estimate. A prompt of no tokens, or no tokens for what was said, is no count."""
        usage = self.usage
        if usage is None or not usage.prompt or usage.completion is None:
            return False
        return usage.completion > 0 or not any(self.said)

    def content(self, now: float) -> None:
        """The first content is here."""
        if self.first_content_at is None:
            self.first_content_at = now

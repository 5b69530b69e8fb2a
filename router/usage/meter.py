"""Counts from passing events."""

from collections.abc import Sequence

from router.canonical.events import Event, UsageReported


class Meter:
    """What one answer has cost so far: the backend's counts, merged field by field, and times in seconds."""

    __slots__ = ("ended_at", "first_content_at", "frames", "started_at", "usage")

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.first_content_at: float | None = None
        self.ended_at: float | None = None
        self.frames = 0
        self.usage: UsageReported | None = None

    def observe(self, events: Sequence[Event]) -> None:
        """Takes note of the events of one frame."""
        self.frames += 1
        for event in events:
            if type(event) is UsageReported:
                self.usage = event if self.usage is None else self.usage.merged(event)

    def content(self, now: float) -> None:
        """The first content is here."""
        if self.first_content_at is None:
            self.first_content_at = now

"""Decides which request may run on a backend: a limit, and a bounded line in order of arrival. Pure."""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum


class Verdict(Enum):
    """What becomes of a request that asks for a slot."""

    GRANTED = "granted"
    QUEUED = "queued"
    REFUSED = "refused"


@dataclass(slots=True)
class Line:
    """One backend's slots; `limit` None means that there is no limit. Tickets are any hashable value."""

    limit: int | None = None
    max_depth: int = 100
    running: set[int] = field(default_factory=set[int])
    waiting: OrderedDict[int, None] = field(default_factory=OrderedDict[int, None])

    def ask(self, ticket: int) -> Verdict:
        """Asks for a slot; never overtakes those who wait."""
        if self.limit is None or (len(self.running) < self.limit and not self.waiting):
            self.running.add(ticket)
            return Verdict.GRANTED
        if len(self.waiting) >= self.max_depth:
            return Verdict.REFUSED
        self.waiting[ticket] = None
        return Verdict.QUEUED

    def leave(self, ticket: int) -> tuple[int, ...]:
        """A ticket is done or has left, running or waiting; returns those that may run now."""
        self.running.discard(ticket)
        self.waiting.pop(ticket, None)
        granted: list[int] = []
        while self.waiting and (self.limit is None or len(self.running) < self.limit):
            first, _ = self.waiting.popitem(last=False)
            self.running.add(first)
            granted.append(first)
        return tuple(granted)

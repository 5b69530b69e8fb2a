"""Going down without cutting anybody off: refuse what is new, wait for what runs, then say so and stop."""

import asyncio
from typing import Protocol

from router.errors import Draining, RouterError

RETRY_AFTER_S = 5.0


class Stoppable(Protocol):
    """An answer in progress."""

    def stop(self, reason: RouterError) -> None:
        """Ends it, telling the client why if it can still be told."""
        ...


class Drain:
    """Knows every answer in progress."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._answers: set[Stoppable] = set()
        self.draining = False

    def begin(self) -> None:
        """From now on nothing new is taken; what still runs after the limit is stopped."""
        if not self.draining:
            self.draining = True
            asyncio.get_running_loop().call_later(self._limit_s, self._expire)

    def enter(self, answer: Stoppable) -> None:
        """Takes note of an answer; raises Draining when nothing new is taken."""
        if self.draining:
            raise Draining("the router is shutting down: try again in a moment", retry_after=RETRY_AFTER_S)
        self._answers.add(answer)

    def leave(self, answer: Stoppable) -> None:
        self._answers.discard(answer)

    @property
    def in_flight(self) -> int:
        return len(self._answers)

    def _expire(self) -> None:
        complaint = "the router is shutting down and the answer took too long to finish"
        for answer in tuple(self._answers):
            answer.stop(Draining(complaint, retry_after=RETRY_AFTER_S))

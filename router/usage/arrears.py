"""Counting what backends did not, after the answers have ended and without keeping anybody waiting."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context

from router.canonical.events import UsageReported
from router.usage.estimate import Bill
from router.usage.tokenizer import Tokenizer, guess

MAX_WAITING = 64
"""Bills in line; beyond that the length of a text has to do."""
LAST_S = 1.0
"""For what is still in line at the end."""

Told = Callable[[UsageReported], None]


class Arrears:
    """Settles one bill after another, so that a request that waits for a count waits for one other at most.

    Every bill is told, whatever happens. Whoever makes one closes it, before the tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._waiting: deque[tuple[Bill, Told]] = deque()
        self._counting: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def is_idle(self) -> bool:
        """Whether every bill is settled."""
        return not self._waiting

    def add(self, bill: Bill, told: Told) -> None:
        """Takes a bill without waiting; `told` is called once, at once if there is no time to count."""
        if self._closed or len(self._waiting) >= MAX_WAITING:
            told(guessed(bill))
            return
        self._waiting.append((bill, told))
        if self._counting is None:
            self._counting = asyncio.create_task(self._count(), name="arrears", context=Context())

    async def _count(self) -> None:
        try:
            while self._waiting:
                bill, _ = self._waiting[0]
                usage = bill.settled([await self._tokenizer.count(text) for text in bill.texts])
                _, told = self._waiting.popleft()
                told(usage)
        finally:
            self._counting = None

    async def aclose(self) -> None:
        """Settles what is in line, by length what cannot be counted in time."""
        self._closed = True
        if self._counting is not None:
            counting = self._counting
            await asyncio.wait((counting,), timeout=LAST_S)
            counting.cancel()
            await asyncio.wait((counting,), timeout=LAST_S)
        while self._waiting:
            bill, told = self._waiting.popleft()
            told(guessed(bill))


def guessed(bill: Bill) -> UsageReported:
    """What a bill comes to by the length of its texts."""
    return bill.settled([guess(text) for text in bill.texts])

"""The asyncio side of admission: `async with gate.admit(backend)` holds a slot."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from itertools import count

from router.admission.scheduler import Line, Verdict
from router.errors import QueueFull

RETRY_AFTER_S = 5.0

_NO_LIMIT = nullcontext()


class Gate:
    """One line for each backend. `limits` are the most requests at once; a backend without one has no limit."""

    def __init__(self, limits: Mapping[str, int | None]) -> None:
        self._lines = {backend: Line(limit) for backend, limit in limits.items()}
        self._tickets = count()
        self._turns: dict[int, asyncio.Future[None]] = {}

    def admit(self, backend: str, *, max_wait_s: float) -> AbstractAsyncContextManager[None]:
        """Holds a slot for as long as the context; raises QueueFull when the line is full or takes too long."""
        line = self._lines.get(backend)
        return _NO_LIMIT if line is None or line.limit is None else self._hold(line, backend, max_wait_s)

    @asynccontextmanager
    async def _hold(self, line: Line, backend: str, max_wait_s: float) -> AsyncGenerator[None]:
        ticket = next(self._tickets)
        verdict = line.ask(ticket)
        if verdict is Verdict.REFUSED:
            raise QueueFull(f"{backend} has too many requests waiting", retry_after=RETRY_AFTER_S)
        try:
            if verdict is Verdict.QUEUED:
                await self._turn(ticket, backend, max_wait_s)
            yield
        finally:
            self._turns.pop(ticket, None)
            for granted in line.leave(ticket):
                if (turn := self._turns.get(granted)) is not None and not turn.done():
                    turn.set_result(None)

    async def _turn(self, ticket: int, backend: str, max_wait_s: float) -> None:
        turn = self._turns[ticket] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(max_wait_s):
                await turn
        except TimeoutError:
            raise QueueFull(
                f"{backend} was busy for {max_wait_s:g} s: no slot became free", retry_after=RETRY_AFTER_S
            ) from None

    def is_idle(self, backend: str) -> bool:
        """Whether a request would get a slot at once."""
        line = self._lines.get(backend)
        if line is None or line.limit is None:
            return True
        return not line.waiting and len(line.running) < line.limit

    def waiting(self, backend: str) -> int:
        """How many requests wait for a slot."""
        line = self._lines.get(backend)
        return len(line.waiting) if line else 0

"""The asyncio side of admission: `async with gate.admit(backend)` holds a slot."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from itertools import count

from router.admission.claims import Claim, Limits, Priority, Queued, Refused
from router.admission.scheduler import Lane
from router.errors import QueueFull

RETRY_AFTER_S = 5.0

_NO_LIMIT = nullcontext()


class Gate:
    """One lane for each backend. `limits` are the most requests at once; a backend without one has no limit."""

    def __init__(self, limits: Mapping[str, int | None]) -> None:
        self._lanes = {
            backend: Lane(Limits(max_parallel=limit)) for backend, limit in limits.items() if limit is not None
        }
        self._tickets = count()
        self._turns: dict[int, asyncio.Future[None]] = {}

    def admit(self, backend: str, *, max_wait_s: float) -> AbstractAsyncContextManager[None]:
        """Holds a slot for as long as the context; raises QueueFull when the line is full or takes too long."""
        lane = self._lanes.get(backend)
        return _NO_LIMIT if lane is None else self._hold(lane, backend, max_wait_s)

    @asynccontextmanager
    async def _hold(self, lane: Lane, backend: str, max_wait_s: float) -> AsyncGenerator[None]:
        clock = asyncio.get_running_loop().time
        claim = Claim(next(self._tickets), backend, "", "", Priority.NORMAL, clock())
        verdict = lane.ask(claim, claim.at)
        if isinstance(verdict, Refused):
            raise QueueFull(f"{backend} has too many requests waiting", retry_after=verdict.retry_after_s)
        try:
            if isinstance(verdict, Queued):
                await self._turn(claim.ticket, backend, max_wait_s)
            yield
        finally:
            self._turns.pop(claim.ticket, None)
            for granted in lane.leave(claim.ticket, clock()):
                if (turn := self._turns.get(granted.ticket)) is not None and not turn.done():
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

    def waiting(self, backend: str) -> int:
        """How many requests wait for a slot."""
        lane = self._lanes.get(backend)
        return lane.waiting() if lane else 0

"""Requests at a gate, for tests: they hold their slot until they are told to go."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from router.admission.claims import Claim, Limits
from router.admission.gate import Gate
from router.admission.limits import LaneSpec, Room
from router.canonical.caller import Priority

SOON_S = 0.01


def gate_of(most: dict[str, int], *, max_wait_s: float = 5, watcher: Any = None, **base: Any) -> Gate:
    """A gate with a lane for each backend."""
    specs = [LaneSpec(name, (Room(name, limit, fixed=True),), Limits(**base)) for name, limit in most.items()]
    return Gate(specs, max_wait_s=max_wait_s, watcher=watcher)


class Visit:
    """A request that waits on some backends at once."""

    def __init__(
        self,
        gate: Gate,
        backends: Sequence[str] = ("desk",),
        *,
        user: str = "",
        priority: Priority = Priority.NORMAL,
        model: str = "m",
        request: str = "",
        has_another: Callable[[], bool] = lambda: False,
    ) -> None:
        now = asyncio.get_running_loop().time()
        claims = [Claim(gate.ticket(), backend, model, user, priority, now) for backend in backends]
        self.stay = gate.admit_any(claims, request=request, has_another=has_another)
        self.backend = ""
        self.load = False
        self.is_in = asyncio.Event()
        self.may_go = asyncio.Event()
        self.task = asyncio.create_task(self._stay())

    async def _stay(self) -> None:
        async with self.stay as admitted:
            self.backend, self.load = admitted.claim.backend, admitted.load
            self.is_in.set()
            await self.may_go.wait()
            admitted.served = True

    async def go(self) -> None:
        self.may_go.set()
        await self.task

    async def leave(self) -> None:
        """As a client who closes the connection."""
        self.task.cancel()
        await asyncio.wait((self.task,))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(1):
        while not condition():
            await asyncio.sleep(0)


async def settled() -> None:
    """Everything that can happen now has happened."""
    for _ in range(5):
        await asyncio.sleep(0)


def is_empty(gate: Gate) -> bool:
    """Whether nobody holds anything, and nothing is remembered of anybody."""
    names = [name for track in gate.tracks for name in track.spec.backends]
    idle = not any(gate.in_flight(name) or gate.waiting_for(name) for name in names)
    return idle and not gate.waiting and not any(track.timer or track.lane.waiting() for track in gate.tracks)

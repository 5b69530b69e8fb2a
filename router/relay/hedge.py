"""Two candidates at once: the first content wins, and the other is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from router.errors import RouterError
from router.relay.turn import Turn

T = TypeVar("T")


class Race(Generic[T]):
    """One request's race. Every turn runs in a task of its own; leaving `between` in any way ends them all."""

    def __init__(self, run: Callable[[Turn], Awaitable[T]]) -> None:
        self._run = run
        self._tasks: dict[asyncio.Task[T | RouterError], Turn] = {}
        self._winner: Turn | None = None

    def won(self, winner: Turn) -> None:
        """This turn has content: the others are cancelled, which is no failure of theirs."""
        if self._winner is not None:
            raise asyncio.CancelledError
        self._winner = winner
        for task, turn in self._tasks.items():
            if turn is not winner:
                task.cancel()

    async def between(self, first: Turn, find_rival: Callable[[], Turn | None], *, after_s: float) -> T:
        """What the winner came to, or raises what the last of them failed with.

        `find_rival` is asked after this many seconds without content, and again after as many more if it has none.
        """
        async with asyncio.TaskGroup() as group:
            self._enter(group, first)
            outcome = await self._outcome(group, find_rival, after_s)
        if isinstance(outcome, RouterError):
            raise outcome
        return outcome

    async def _outcome(
        self, group: asyncio.TaskGroup, find_rival: Callable[[], Turn | None], after_s: float
    ) -> T | RouterError:
        is_open = True
        while True:
            done, _ = await asyncio.wait(
                self._tasks, timeout=after_s if is_open else None, return_when=asyncio.FIRST_COMPLETED
            )
            is_open = is_open and self._winner is None
            if not done and is_open and (rival := find_rival()):
                self._enter(group, rival)
                is_open = False
            for task in done:
                turn = self._tasks.pop(task)
                if turn is self._winner or not self._tasks:
                    return task.result()

    def _enter(self, group: asyncio.TaskGroup, turn: Turn) -> None:
        self._tasks[group.create_task(self._ran(turn))] = turn

    async def _ran(self, turn: Turn) -> T | RouterError:
        """A failure is a result here: it must not end the other turn."""
        try:
            return await self._run(turn)
        except RouterError as error:
            return error

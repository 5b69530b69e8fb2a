"""Every pull of this router: begun, joined, followed, cancelled, tried again, and gone on with after a restart."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from secrets import token_hex
from time import time

from router.canonical.adapter import Adapter
from router.canonical.models import canonical_name
from router.errors import (
    BackendTimeout,
    BackendUnreachable,
    Conflict,
    InternalError,
    NotFound,
    QueueFull,
    RouterError,
    StreamBroken,
    Unavailable,
    UnknownModel,
)
from router.pulls.notes import Notes
from router.pulls.run import Run
from router.pulls.state import Pull, State

logger = logging.getLogger(__name__)

MAX_RUNNING = 20
KEPT = 50
"""Pulls that have ended and are still shown."""
MAX_FAILURES = 5
"""Tries in a row that bring nothing new."""
MAX_ABSENT = 30
"""Tries of one that a restart has cut off, until its server is there: that may have been started later."""
MAX_RESTARTS = 5
FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 30.0
CLOSE_S = 5.0
AGAIN = "the connection was lost: trying again"
_PASSING = (BackendTimeout, BackendUnreachable, StreamBroken)
"""What may be otherwise in a moment; whatever a server says in words stays so."""


class Pulls:
    """They run while `running` is entered, whoever is there to see it.

    `way` gives the adapter of a backend, None if there is no such backend now; `look` looks at one that has a new
    model. `first_pause_s` is before the second try.
    """

    def __init__(
        self,
        way: Callable[[str], Adapter | None],
        look: Callable[[str], Awaitable[None]],
        notes: Notes,
        *,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._way = way
        self._look = look
        self._notes = notes
        self._first_pause_s = first_pause_s
        self._running: dict[tuple[str, str], Run] = {}
        self._ended: deque[Run] = deque(maxlen=KEPT)
        self._is_open = False
        self.opened_at: float | None = None

    def __iter__(self) -> Iterator[Run]:
        """Those that run, then those that have ended, the newest first."""
        yield from reversed(self._running.values())
        yield from reversed(self._ended)

    def __getitem__(self, pull_id: str) -> Run:
        """Raises NotFound, also for one that ended long ago."""
        for run in self:
            if run.pull.id == pull_id:
                return run
        raise NotFound("there is no such pull, or it ended long ago", param="id")

    def of(self, backend: str, model: str) -> Run | None:
        """The one that runs for a model, `m` being the same as `m:latest`."""
        return self._running.get((backend, canonical_name(model)))

    def on(self, backend: str) -> Iterator[Run]:
        """Those that run on a backend."""
        return (run for run in self._running.values() if run.pull.backend == backend)

    def start(self, backend: str, model: str, *, for_request: bool = False) -> Run:
        """Begins a pull, or joins the one that runs. Raises QueueFull, or Unavailable while the router stops."""
        if (running := self.of(backend, model)) is not None:
            return running
        if not self._is_open:
            raise Unavailable("nothing is pulled before the router has started, and while it stops")
        if len(self._running) >= MAX_RUNNING:
            raise QueueFull(f"{MAX_RUNNING} models are being pulled already: wait for one, or cancel one")
        pull = Pull(id=f"pull_{token_hex(8)}", backend=backend, model=model, started_at=time())
        return self._begin(Run(pull, for_request=for_request))

    async def cancel(self, pull_id: str) -> Run:
        """Ends a pull; its server keeps what it has of the layers. One that has ended stays as it is."""
        run = self[pull_id]
        if run.pull.is_running and run.task is not None:
            self._end(run, State.CANCELLED, Conflict("the pull was cancelled"))
            run.task.cancel()
            await asyncio.wait((run.task,), timeout=CLOSE_S)
            await asyncio.to_thread(self._notes.forget, run.pull.id)
        return run

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Goes on with what an earlier run has left; at the end what runs is left for the next one."""
        self._is_open, self.opened_at = True, asyncio.get_running_loop().time()
        resuming = asyncio.create_task(self._resume(), name="resuming pulls")
        try:
            yield
        finally:
            self._is_open = False
            tasks = {resuming, *(run.task for run in self._running.values() if run.task is not None)}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CLOSE_S)
            for run in self._running.values():
                await asyncio.to_thread(self._notes.hand_over, run.pull)

    async def _resume(self) -> None:
        for note in await asyncio.to_thread(self._notes.left_behind):
            if not self._is_open:
                return
            if note.restarts >= MAX_RESTARTS:
                logger.warning(
                    "the pull of %s on %s is given up: so many runs did not end it", note.model, note.backend
                )
                await asyncio.to_thread(self._notes.forget, note.id)
            elif self.of(note.backend, note.model) is None:
                logger.info("the pull of %s on %s goes on where the last run has left it", note.model, note.backend)
                self._begin(Run(note.pull()))
            else:
                await asyncio.to_thread(self._notes.forget, note.id)

    def _begin(self, run: Run) -> Run:
        self._running[_key(run.pull)] = run
        run.task = asyncio.create_task(self._live(run), name=run.pull.id)
        return run

    def _end(self, run: Run, state: State, error: RouterError | None = None) -> None:
        """From now on another pull of the model is another."""
        del self._running[_key(run.pull)]
        if not (run.for_request and isinstance(error, UnknownModel)):
            self._ended.append(run)  # what requests only make up is nothing to look at
        run.become(run.pull.ended(state, time(), error))

    async def _live(self, run: Run) -> None:
        await asyncio.to_thread(self._notes.write, run.pull)
        try:
            await self._tries(run)
            self._end(run, State.DONE)
            logger.info("%s is on %s now", run.pull.model, run.pull.backend)
        except RouterError as error:
            self._end(run, State.FAILED, error)
            logger.warning("the pull of %s on %s came to nothing: %s", run.pull.model, run.pull.backend, error.code)
        except Exception as error:
            self._end(run, State.FAILED, InternalError("the router failed unexpectedly; its log says more"))
            logger.exception("a pull failed unexpectedly: %s", type(error).__name__)
        await asyncio.to_thread(self._notes.forget, run.pull.id)

    async def _tries(self, run: Run) -> None:
        """Until the model is there; raises what speaks against a further try."""
        failures, pause_s = 0, self._first_pause_s
        while True:
            had = run.pull.completed
            try:
                await self._once(run)
            except _PASSING as error:
                gained = run.pull.completed > had
                failures = 1 if gained else failures + 1
                if failures >= _patience(run):
                    raise _told(error) from None
                pause_s = self._first_pause_s if gained else min(2 * pause_s, MAX_PAUSE_S)
            else:
                return
            run.become(run.pull.stalled(AGAIN))
            await asyncio.sleep(pause_s)

    async def _once(self, run: Run) -> None:
        backend, loop = run.pull.backend, asyncio.get_running_loop()
        adapter = self._way(backend)
        if adapter is None:
            raise BackendUnreachable(f"{backend} is no backend that is in use now")
        run.become(run.pull.begun())
        async with adapter.pull(run.pull.model) as pulling:
            while steps := await pulling.steps():
                run.was_heard_of = True
                run.become(run.pull.told(steps, loop.time()))
        await self._look(backend)


def _patience(run: Run) -> int:
    """How many failures in a row end it: one, while nothing has ever come of it."""
    if run.was_heard_of:
        return MAX_FAILURES
    return MAX_ABSENT if run.pull.restarts else 1


def _key(pull: Pull) -> tuple[str, str]:
    return pull.backend, canonical_name(pull.model)


def _told(error: RouterError) -> RouterError:
    """A server that cannot be reached is not running, as far as whoever wants a model there can tell."""
    return Unavailable(error.message) if isinstance(error, BackendUnreachable) else error

"""Pulls that requests wait for: a few at a time, and nothing that was just refused."""

import asyncio
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from copy import copy

from router.canonical.models import canonical_name
from router.errors import BackendTimeout, QueueFull, RouterError, Unavailable
from router.pulls.pulls import Pulls
from router.pulls.run import Run
from router.pulls.state import State

AT_ONCE = 1
"""Pulls on one backend that requests have begun."""
MAX_WAITING = 100
"""Requests that wait for pulls on one backend."""
REFUSED_S = 60.0
"""So long nobody asks again for what has just failed."""
MAX_REFUSED = 200
SETTLE_S = 180.0
"""After a power cut the largest machine is the last to be there: so long a model may be on one that was not seen."""
RETRY_AFTER_S = 30.0


class Asked:
    """What requests have pulled. Each counts while it waits, whoever began the pull."""

    def __init__(self, pulls: Pulls, *, settle_s: float = SETTLE_S) -> None:
        self._pulls = pulls
        self._settle_s = settle_s
        self._waiting: Counter[str] = Counter()
        self._refused: dict[tuple[str, str], tuple[float, RouterError]] = {}

    @property
    def is_settled(self) -> bool:
        """Whether the start is so long ago that every server that will come up has."""
        opened_at = self._pulls.opened_at
        return opened_at is not None and asyncio.get_running_loop().time() - opened_at >= self._settle_s

    async def fetch(self, backend: str, model: str, *, tell: Callable[[str], None], within_s: float | None) -> None:
        """Returns when the model is there; `tell` is told meanwhile what is waited for.

        Raises why it could not be pulled, QueueFull, or after `within_s` BackendTimeout: the pull goes on then, as it
        does when whoever waits leaves.
        """
        self._raise_refused(backend, model)
        with self._in_line(backend):
            try:
                async with asyncio.timeout(within_s):
                    run = await self._begun(backend, model, tell)
                    await self._told(run, tell)
            except TimeoutError:
                raise self._too_late(backend, model) from None
        if run.pull.state is not State.DONE:
            raise self._refuse(run)

    async def _begun(self, backend: str, model: str, tell: Callable[[str], None]) -> Run:
        """The pull of a model, once it is its turn."""
        while self._pulls.of(backend, model) is None:
            others = [run for run in self._pulls.on(backend) if run.for_request]
            if len(others) < AT_ONCE:
                break
            tell("waiting for another pull")
            await others[0].changed.wait()
        self._raise_refused(backend, model)
        return self._pulls.start(backend, model, for_request=True)

    async def _told(self, run: Run, tell: Callable[[str], None]) -> None:
        while run.pull.is_running:
            percent = run.pull.percent
            tell(f"pulling {run.pull.model}" if percent is None else f"pulling {run.pull.model} {percent}%")
            await run.changed.wait()

    def _too_late(self, backend: str, model: str) -> RouterError:
        run = self._pulls.of(backend, model)
        if run is None:
            return BackendTimeout(f"{backend} still pulls another model", retry_after=RETRY_AFTER_S)
        percent = run.pull.percent
        done = "" if percent is None else f" ({percent}% is there)"
        return BackendTimeout(
            f"{backend} still pulls {run.pull.model}{done}: that goes on, so ask again later",
            param="model",
            retry_after=RETRY_AFTER_S,
        )

    @contextmanager
    def _in_line(self, backend: str) -> Generator[None]:
        if self._waiting[backend] >= MAX_WAITING:
            raise QueueFull(f"{MAX_WAITING} requests wait for pulls on {backend} already", retry_after=RETRY_AFTER_S)
        self._waiting[backend] += 1
        try:
            yield
        finally:
            self._waiting[backend] -= 1

    def _refuse(self, run: Run) -> RouterError:
        """Remembers for a while why a pull came to nothing."""
        error: RouterError = run.failure
        if run.pull.state is State.CANCELLED:
            error = Unavailable(f"the pull of {run.pull.model} was cancelled", retry_after=REFUSED_S)
        now = asyncio.get_running_loop().time()
        self._refused = {key: told for key, told in self._refused.items() if told[0] > now}
        while len(self._refused) >= MAX_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[run.pull.backend, canonical_name(run.pull.model)] = (now + REFUSED_S, error)
        return copy(error)  # what is raised keeps the request that it is raised for

    def _raise_refused(self, backend: str, model: str) -> None:
        until, error = self._refused.get((backend, canonical_name(model)), (0.0, None))
        if error is not None and asyncio.get_running_loop().time() < until:
            raise copy(error)

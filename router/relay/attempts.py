"""One candidate after another until one commits itself: admit, try, blame, go on."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from random import random
from typing import Protocol, TypeVar

from router.admission.gate import Gate
from router.errors import (
    BackendError,
    BackendRefusedKey,
    BackendTimeout,
    BackendUnreachable,
    ContextLengthExceeded,
    NoBackend,
    RouterError,
)
from router.relay.progress import Fleet, Progress
from router.routing.plan import Candidate, Plan, Wanted, plan
from router.usage.record import FailedAttempt

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
BACKOFF_S = 0.1
MAX_QUEUE_WAIT_S = 120.0

T = TypeVar("T")

_UNTRACED = nullcontext()


class Tracing(Protocol):
    """Whoever wants to know when an attempt begins and how it ends."""

    def attempt(self, progress: Progress, *, kind: str) -> AbstractContextManager[None]:
        """Surrounds one attempt on a backend of this kind; sees the exception that ends it and must not keep it."""
        ...


class Attempts:
    """Takes a request to one candidate after another. Holds no state of its own between requests."""

    def __init__(self, fleet: Fleet, gate: Gate, *, tracing: Tracing | None = None) -> None:
        self.fleet = fleet
        self._gate = gate
        self._tracing = tracing

    async def first_to_serve(
        self,
        wanted: Wanted,
        progress: Progress,
        serve: Callable[[Candidate], Awaitable[T]],
        *,
        narrow: Callable[[Plan], Awaitable[Plan]] | None = None,
    ) -> T:
        """Runs on one candidate after another until one commits itself, all under one deadline.

        `narrow` takes candidates out of the plan.
        """
        now = asyncio.get_running_loop().time()
        chosen = plan(wanted, self.fleet.catalog, self.fleet.health, now=now, random=random)
        progress.reason, progress.sole = chosen.reason, len(chosen.candidates) == 1
        limit = self.fleet.totals.get(chosen.candidates[0].target.backend)
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                if narrow is not None:
                    chosen = await narrow(chosen)
                    progress.reason, progress.sole = chosen.reason, len(chosen.candidates) == 1
                return await self._attempts(chosen, progress, serve)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise BackendTimeout(f"the request took longer than its limit of {limit:g} s") from None

    async def _attempts(self, chosen: Plan, progress: Progress, serve: Callable[[Candidate], Awaitable[T]]) -> T:
        """A backend that failed is asked for another model only after all others; one that could not be reached is
        tried again, after a pause, when nobody else is left."""
        waiting = deque(chosen.candidates)
        unreachable: list[Candidate] = []
        failures: list[RouterError] = []
        while waiting:
            candidate = waiting.popleft()
            progress.attempts += 1
            try:
                return await self._attempt(candidate, progress, serve)
            except RouterError as error:
                self._report(candidate, progress, error)
                if progress.committed or not error.retryable:
                    raise
                failures.append(error)
            if progress.attempts >= MAX_ATTEMPTS:
                break
            if failures[-1].blame == "backend":
                waiting = _put_last(waiting, candidate.target.backend)
            if isinstance(failures[-1], BackendUnreachable):
                unreachable.append(candidate)
            if not waiting and unreachable:
                waiting.extend(unreachable)
                unreachable.clear()
                await asyncio.sleep(BACKOFF_S * 2 ** (progress.attempts - 1) * (0.5 + random() / 2))  # noqa: S311
        raise _most_telling([*failures, progress.too_long] if progress.too_long else failures)

    async def _attempt(self, candidate: Candidate, progress: Progress, serve: Callable[[Candidate], Awaitable[T]]) -> T:
        backend, health = candidate.target.backend, self.fleet.health
        progress.backend, progress.model, progress.dropped = backend, candidate.target.model, ()
        if backend not in self.fleet.adapters:
            raise NoBackend(f"{backend} is switched off in the settings")
        async with self._gate.admit(backend, max_wait_s=MAX_QUEUE_WAIT_S):
            was_trial = health.started(backend, now=asyncio.get_running_loop().time())
            try:
                with self._traced(progress):
                    return await serve(candidate)
            finally:
                health.ended(backend, was_trial=was_trial)

    def _traced(self, progress: Progress) -> AbstractContextManager[None]:
        if self._tracing is None:
            return _UNTRACED
        return self._tracing.attempt(progress, kind=self.fleet.adapters[progress.backend].kind)

    def _report(self, candidate: Candidate, progress: Progress, error: RouterError) -> None:
        target = candidate.target
        progress.failed.append(FailedAttempt(target.backend, target.model, type(error).code))
        self._blame(target.backend, target.model, error)
        if isinstance(error, BackendError):
            logger.warning("attempt %d on %s failed: %s", progress.attempts, target, _remembered(error))

    def _blame(self, backend: str, model: str, error: RouterError) -> None:
        if error.blame == "model":
            self.fleet.health.model_missing(backend, model)
        elif error.blame == "backend":
            self.fleet.health.failed(backend, _remembered(error), now=asyncio.get_running_loop().time())


def _put_last(waiting: deque[Candidate], backend: str) -> deque[Candidate]:
    return deque(sorted(waiting, key=lambda candidate: candidate.target.backend == backend))


def _most_telling(failures: Sequence[RouterError]) -> RouterError:
    """The one that says soonest when to come back, else that the prompt is too long, which a client can mend at once,
    else the last that may pass, else the last."""
    if told := [error for error in failures if error.retry_after is not None]:
        return min(told, key=lambda error: error.retry_after or 0.0)
    if too_long := [error for error in failures if isinstance(error, ContextLengthExceeded)]:
        return too_long[0]
    return next((error for error in reversed(failures) if error.status >= 429), failures[-1])


def _remembered(error: RouterError) -> str:
    """What logs and health may keep of a failure: not a backend's own words, which can quote a prompt."""
    if isinstance(error, (BackendUnreachable, BackendRefusedKey)):
        return error.message
    return f"{error.code.replace('_', ' ')} ({error.status})"

"""One candidate after another until one commits itself: admit, try, blame, go on."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from random import random
from typing import Protocol, TypeVar

from router.admission.gate import Gate, Stay
from router.errors import (
    BackendDrained,
    BackendError,
    BackendRefusedKey,
    BackendTimeout,
    BackendUnreachable,
    ContextLengthExceeded,
    NoBackend,
    QueueFull,
    QueueShareExhausted,
    RouterError,
)
from router.relay.progress import Fleet, Progress
from router.relay.visit import Visit
from router.routing.catalog import Target
from router.routing.plan import Candidate, Plan, Wanted
from router.usage.record import FailedAttempt

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
BACKOFF_S = 0.1
LOADING = "loading model"

_TURNED_AWAY = (QueueFull, QueueShareExhausted, BackendDrained)

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
        chosen = self.fleet.plan(wanted, now=now)
        progress.reason, progress.chosen_by = chosen.reason, chosen.chosen_by
        progress.sole, progress.conversation = len(chosen.candidates) == 1, chosen.conversation
        limit = self.fleet.totals.get(chosen.candidates[0].target.backend)
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                if narrow is not None:
                    chosen = await narrow(chosen)
                    progress.reason, progress.sole = chosen.reason, len(chosen.candidates) == 1
                visit = Visit(
                    self._gate, self.fleet.health, wanted=wanted, chosen=chosen, at=now, request_id=progress.id
                )
                return await self._attempts(visit, chosen, progress=progress, serve=serve)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise BackendTimeout(f"the request took longer than its limit of {limit:g} s") from None

    async def _attempts(
        self, visit: Visit, chosen: Plan, *, progress: Progress, serve: Callable[[Candidate], Awaitable[T]]
    ) -> T:
        """A backend that failed is asked for another model only after all others; one that could not be reached is
        tried again, after a pause, when nobody else is left. Being turned away from a line is no attempt."""
        waiting = deque(chosen.candidates)
        unreachable: list[Candidate] = []
        failures: list[RouterError] = []
        turned_away = 0
        while waiting:
            rivals = visit.rivals(waiting)
            progress.attempts += 1
            try:
                return await self._attempt(rivals, visit.stay(rivals), progress=progress, serve=serve)
            except RouterError as error:
                candidate = _asked(rivals, progress)
                self._report(candidate, progress, error)
                if progress.committed or not error.retryable:
                    raise
                failures.append(error)
            is_turned_away = isinstance(failures[-1], _TURNED_AWAY)
            turned_away += is_turned_away
            done_with = rivals if is_turned_away else (candidate,)
            waiting = deque(other for other in waiting if other not in done_with)
            if progress.attempts - turned_away >= MAX_ATTEMPTS:
                break
            if failures[-1].blame == "backend":
                waiting = _put_last(waiting, candidate.target.backend)
            if isinstance(failures[-1], BackendUnreachable):
                unreachable.append(candidate)
            if not waiting and unreachable:
                waiting.extend(unreachable)
                unreachable.clear()
                await asyncio.sleep(BACKOFF_S * 2 ** (progress.attempts - 1) * (0.5 + random() / 2))  # noqa: S311
        raise _most_telling(failures)

    async def _attempt(
        self,
        rivals: Sequence[Candidate],
        stay: Stay,
        *,
        progress: Progress,
        serve: Callable[[Candidate], Awaitable[T]],
    ) -> T:
        """One attempt on the first of the rivals that has a slot."""
        _goes_to(rivals[0], progress)
        for candidate in rivals:
            if candidate.target.backend not in self.fleet.adapters:
                raise NoBackend(f"{candidate.target.backend} is switched off in the settings")
        progress.stay, progress.waiting = stay, ""
        async with stay as admitted:
            progress.waiting = LOADING if admitted.load else ""
            candidate = rivals[stay.claims.index(admitted.claim)]
            _goes_to(candidate, progress)
            backend, health = candidate.target.backend, self.fleet.health
            was_trial = health.started(backend, now=asyncio.get_running_loop().time())
            try:
                with self._traced(progress):
                    return await serve(candidate)
            finally:
                admitted.served = progress.committed
                health.ended(backend, was_trial=was_trial)

    def _traced(self, progress: Progress) -> AbstractContextManager[None]:
        if self._tracing is None:
            return _UNTRACED
        return self._tracing.attempt(progress, kind=self.fleet.adapters[progress.backend].kind)

    def _report(self, candidate: Candidate, progress: Progress, error: RouterError) -> None:
        target = candidate.target
        progress.failed.append(FailedAttempt(target.backend, target.model, type(error).code, error.upstream_id))
        progress.reason = f"{progress.chosen_by}, {target.backend} failed"
        self._blame(target.backend, target.model, error)
        if isinstance(error, BackendError):
            logger.warning("attempt %d on %s failed: %s", progress.attempts, target, _remembered(error))

    def _blame(self, backend: str, model: str, error: RouterError) -> None:
        if error.blame == "model":
            self.fleet.health.model_missing(backend, model)
        elif error.blame == "backend":
            self.fleet.health.failed(backend, _remembered(error), now=asyncio.get_running_loop().time())


def _goes_to(candidate: Candidate, progress: Progress) -> None:
    progress.backend, progress.model, progress.dropped = candidate.target.backend, candidate.target.model, ()


def _asked(rivals: Sequence[Candidate], progress: Progress) -> Candidate:
    """The rival that had the request last."""
    target = Target(progress.backend, progress.model)
    return next(candidate for candidate in rivals if candidate.target == target)


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

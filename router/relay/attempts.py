"""One candidate after another until one commits itself: admit, try, blame, go on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from math import inf
from random import random
from typing import Generic, Protocol, TypeVar

from msgspec.structs import replace

from router.admission.gate import Gate
from router.canonical.models import canonical_name
from router.deadline import Deadline
from router.errors import (
    BackendError,
    BackendLoading,
    BackendRefusedKey,
    BackendRemoved,
    BackendTimeout,
    BackendUnreachable,
    BadRequest,
    QueueFull,
    RouterError,
)
from router.relay.course import TURNED_AWAY, Course
from router.relay.fleet import Fleet
from router.relay.hedge import Race
from router.relay.loading import FIRST_PAUSE_S, LOADING, MAX_PAUSE_S, Loads
from router.relay.progress import Progress
from router.relay.retry_budget import RetryBudget
from router.relay.turn import Turn, Work
from router.relay.visit import Visit
from router.routing.catalog import Target
from router.routing.health import Readiness
from router.routing.plan import Candidate, Plan
from router.routing.wanted import Wanted
from router.usage.record import FailedAttempt

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
BACKOFF_S = 0.1

T = TypeVar("T")

_NOTHING = nullcontext()


class Tracing(Protocol):
    """Whoever wants to know when an attempt begins and how it ends."""

    def attempt(self, progress: Progress, *, kind: str) -> AbstractContextManager[None]:
        """Surrounds one attempt on a backend of this kind; sees the exception that ends it and must not keep it."""
        ...


@dataclass(frozen=True, slots=True)
class Errand(Generic[T]):
    """One request on its way: who is still to be asked, in whose lines it waits, and what is to be done."""

    course: Course
    visit: Visit
    work: Work[T]

    def rivals(self, taken: Candidate) -> Sequence[Candidate]:
        """The one that was taken, and those of the others in whose lines the request may wait as well."""
        return self.visit.rivals((taken, *self.course.others))


class Attempts:
    """Takes a request to one candidate after another. Between requests it keeps what all of them share: the budget of
    further attempts, and which models have to be loaded."""

    def __init__(self, fleet: Fleet, gate: Gate, *, tracing: Tracing | None = None) -> None:
        self.fleet = fleet
        self._gate = gate
        self._tracing = tracing
        self._budget = RetryBudget()
        self._loads = Loads(fleet)

    async def first_to_serve(
        self,
        wanted: Wanted,
        progress: Progress,
        work: Work[T],
        *,
        narrow: Callable[[Plan], Awaitable[Plan]] | None = None,
    ) -> T:
        """Runs on one candidate after another until one commits itself, all under one deadline.

        `narrow` takes candidates out of the plan. Where the settings have taken away all that a request waited for, it
        is planned anew.
        """
        epoch = self.fleet.begin()
        try:
            return await self._within_limit(wanted, progress, work, narrow=narrow)
        finally:
            self.fleet.end(epoch)

    async def _within_limit(
        self, wanted: Wanted, progress: Progress, work: Work[T], *, narrow: Callable[[Plan], Awaitable[Plan]] | None
    ) -> T:
        now = asyncio.get_running_loop().time()
        chosen = self._planned(wanted, progress, now=now)
        if chosen.pull is not None:
            chosen = await self._pulled(chosen.pull, wanted, progress, is_streamed=work.may_compete)
            now = asyncio.get_running_loop().time()
        limit = self.fleet.totals.get(chosen.candidates[0].target.backend, inf)
        deadline = Deadline(now + limit)
        try:
            with deadline:
                while True:
                    changes = self.fleet.changes
                    if narrow is not None:
                        chosen = await narrow(chosen)
                        progress.reason, progress.sole = chosen.reason, len(chosen.candidates) == 1
                    visit = Visit(
                        self._gate, self.fleet.health, wanted=wanted, chosen=chosen, at=now, request_id=progress.id
                    )
                    try:
                        return await self._attempts(Errand(Course(chosen.candidates), visit, work), progress)
                    except BackendRemoved:
                        if progress.committed or self.fleet.changes == changes:
                            raise
                    chosen = self._planned(wanted, progress, now=asyncio.get_running_loop().time())
        except TimeoutError:
            if not deadline.has_expired:
                raise
            raise BackendTimeout(f"the request took longer than its limit of {limit:g} s") from None

    def _planned(self, wanted: Wanted, progress: Progress, *, now: float) -> Plan:
        chosen = self.fleet.plan(wanted, now=now)
        progress.reason, progress.chosen_by = chosen.reason, chosen.chosen_by
        progress.sole, progress.conversation = len(chosen.candidates) == 1, chosen.conversation
        return chosen

    async def _pulled(self, missing: Target, wanted: Wanted, progress: Progress, *, is_streamed: bool) -> Plan:
        """The plan once the model is there. A stream, which says how far that is, has all the time that it takes."""
        puller, limit = self.fleet.puller, self.fleet.totals.get(missing.backend)
        assert puller is not None
        within_s = None if is_streamed else limit
        await puller.fetch(missing.backend, missing.model, tell=progress.waits_for, within_s=within_s)
        progress.waiting = ""
        chosen = self._planned(wanted, progress, now=asyncio.get_running_loop().time())
        progress.reason = f"{chosen.reason}, pulled first"
        return replace(chosen, reason=progress.reason)

    async def _attempts(self, errand: Errand[T], progress: Progress) -> T:
        course = errand.course
        broken: RouterError | None = None
        while (candidate := self._next(course, progress)) is not None:
            turn = Turn(errand.rivals(candidate), progress, self._commit)
            progress.attempts += 1
            try:
                return await self._with_rival(turn, errand)
            except RouterError as error:
                if progress.committed:
                    broken = broken or error
                if not self._may_go_on(turn, errand, error):
                    raise broken or error from None
            if progress.attempts - course.turned_away >= MAX_ATTEMPTS:
                break
            if course.starts_over():
                await asyncio.sleep(BACKOFF_S * 2 ** (progress.attempts - 1) * (0.5 + random() / 2))  # noqa: S311
        if progress.too_long is not None:
            course.failures.append(progress.too_long)
        raise broken or course.most_telling

    def _next(self, course: Course, progress: Progress) -> Candidate | None:
        """The first one, or within the budget a further one; without, only one that nothing speaks against.

        What a target refused because of the request itself is no sign of trouble, and costs nothing.
        """
        now = asyncio.get_running_loop().time()
        if not progress.attempts:
            self._budget.requested(now)
        if not course.failures or isinstance(course.failures[-1], (BadRequest, *TURNED_AWAY)):
            return course.take()
        has_room = self._budget.has_room(now)
        candidate = course.take() if has_room else course.take(partial(self._is_trusted, now=now))
        if candidate is not None:
            self._budget.spend(now)
        elif course.has(lambda _: True):
            progress.out_of_budget = True
            logger.warning("no further attempt: too many requests needed one in the last seconds")
        return candidate

    def _is_trusted(self, candidate: Candidate, *, now: float) -> bool:
        return self._is_ready(candidate, now=now) and self._budget.trusts(candidate.target.backend)

    def _is_ready(self, candidate: Candidate, *, now: float) -> bool:
        backend = candidate.target.backend
        return (
            backend in self.fleet.adapters and self.fleet.health[backend].readiness(now) is Readiness.READY
        ) and not self._loads.is_due(candidate.target)

    def _may_go_on(self, turn: Turn, errand: Errand[T], error: RouterError) -> bool:
        """Whether to ask the next one. Once a stream has content, only one that can continue it."""
        if not turn.progress.committed:
            return error.retryable
        if not errand.work.goes_on(turn, error):
            return False
        errand.course.keep(self._can_continue)
        return True

    def _can_continue(self, candidate: Candidate) -> bool:
        return self.fleet.adapter(candidate.target.backend).prefills

    async def _with_rival(self, turn: Turn, errand: Errand[T]) -> T:
        """Where the alias says so, with another candidate to compete for the first token if that takes long."""
        after_s = turn.candidate.profile.hedge_after_s
        if after_s is None or turn.progress.committed or not errand.work.may_compete:
            return await self._reported(turn, errand)
        race = Race[T](lambda runner: self._reported(runner, errand))
        leading = Turn(turn.rivals, turn.progress, lambda winner: self._commit(winner, race.won))

        def rival() -> Turn | None:
            return self._rival(leading, errand, race.won)

        return await race.between(leading, rival, after_s=after_s)

    def _rival(self, leading: Turn, errand: Errand[T], won: Callable[[Turn], None]) -> Turn | None:
        """Someone idle, within the budget, to compete with the one that is asked already."""
        now, progress = asyncio.get_running_loop().time(), leading.progress
        if progress.attempts >= MAX_ATTEMPTS or not self._budget.has_room(now):
            return None
        taken = leading.candidate.target.backend
        candidate = errand.course.take(lambda other: other.target.backend != taken and self._is_idle(other, now=now))
        if candidate is None:
            return None
        self._budget.spend(now)
        progress.attempts += 1
        progress.hedge, progress.reason = "lost", f"{progress.reason}, hedged"

        def commit(winner: Turn) -> None:
            self._commit(winner, won)
            progress.taken_over(winner.progress)

        return Turn((candidate,), progress.rival(), commit)

    def _is_idle(self, candidate: Candidate, *, now: float) -> bool:
        return self._is_ready(candidate, now=now) and self._gate.is_idle(
            candidate.target.backend, canonical_name(candidate.target.model)
        )

    async def _reported(self, turn: Turn, errand: Errand[T]) -> T:
        """One attempt; a failure is remembered by all who need to know."""
        try:
            return await self._attempt(turn, errand)
        except RouterError as error:
            self._report(turn, error)
            errand.course.failed(turn.candidate, error, rivals=turn.rivals)
            raise

    async def _attempt(self, turn: Turn, errand: Errand[T]) -> T:
        """One attempt on the first of the rivals that has a slot."""
        progress, health = turn.progress, self.fleet.health
        for rival in turn.rivals:
            if rival.target.backend not in self.fleet.adapters:
                raise BackendRemoved(f"{rival.target.backend} is no longer in the settings")
        stay = progress.stay = errand.visit.stay(turn.rivals)
        progress.waiting = ""
        async with stay as admitted:
            errand.course.goes_to(turn, turn.rivals[stay.claims.index(admitted.claim)])
            backend = turn.candidate.target.backend
            turn.adapter = self.fleet.adapter(backend)
            was_trial = health.started(backend, now=asyncio.get_running_loop().time())
            try:
                with self._traced(turn):
                    async with self._running(turn):
                        return await self._loaded(turn, errand, loading=admitted.load)
            finally:
                admitted.served = turn.served
                health.ended(backend, was_trial=was_trial)

    def _running(self, turn: Turn) -> AbstractAsyncContextManager[None]:
        """Where the router runs the backend's process, holds it, and has it started first."""
        backend, processes = turn.candidate.target.backend, self.fleet.processes
        if processes is None or not turn.adapter.config.process:
            return _NOTHING
        if backend not in processes:
            raise BackendRemoved(f"{backend} is no longer in the settings")

        return processes.use(backend, turn.progress.waits_for)

    async def _loaded(self, turn: Turn, errand: Errand[T], *, loading: bool) -> T:
        """Waits while the backend says that it loads its model, unless somebody else is ready."""
        loop, target = asyncio.get_running_loop(), turn.candidate.target
        adapter = turn.adapter
        until = loop.time() + adapter.config.timeouts.load
        loading, pause_s = loading or self._loads.is_due(target), FIRST_PAUSE_S
        turn.progress.waiting = LOADING if loading else ""
        while True:
            try:
                return await errand.work.serve(turn, loading=loading)
            except BackendLoading as error:
                if errand.course.has(partial(self._is_ready, now=loop.time())):
                    raise
                turn.progress.waiting = LOADING
                await self._loads.over(adapter, until, error, pause_s=pause_s)
                pause_s = min(2 * pause_s, MAX_PAUSE_S)

    def _commit(self, turn: Turn, won: Callable[[Turn], None] | None = None) -> None:
        if won is not None:
            won(turn)
        target, progress = turn.candidate.target, turn.progress
        progress.committed, progress.waiting, turn.served = True, "", True
        self._budget.answered(target.backend)
        now = asyncio.get_running_loop().time()
        self._learn(turn, now)
        if self._is_current(turn):
            self.fleet.health.succeeded(target.backend, model=target.model, now=now)

    def _is_current(self, turn: Turn) -> bool:
        """Whether what happens to it says something about the backend as it is now in the settings."""
        return self.fleet.adapters.get(turn.candidate.target.backend) is turn.adapter

    def _learn(self, turn: Turn, now: float) -> None:
        """How soon it began, if it did not have to load first, and who has this conversation."""
        candidate, conversation = turn.candidate, turn.progress.conversation
        target, experience = candidate.target, self.fleet.experience
        if turn.began is not None and candidate.resident is not False and not self._loads.is_due(target):
            experience.speeds.began(target, now - turn.began, now=now)
        if conversation is not None:
            experience.affinity.remember(conversation, target)

    def _traced(self, turn: Turn) -> AbstractContextManager[None]:
        if self._tracing is None:
            return _NOTHING
        return self._tracing.attempt(turn.progress, kind=turn.adapter.kind)

    def _report(self, turn: Turn, error: RouterError) -> None:
        target, progress = turn.candidate.target, turn.progress
        progress.failed.append(FailedAttempt(target.backend, target.model, type(error).code, error.upstream_id))
        progress.waiting, progress.reason = "", f"{progress.chosen_by}, {target.backend} failed"
        if isinstance(error, (BackendError, QueueFull)) and error.blame != "model":
            self._budget.turned_away(target.backend)
        if error.blame == "nobody" or not self._is_current(turn):
            pass
        elif error.blame == "model":
            self.fleet.health.model_missing(target.backend, target.model)
        else:
            now = asyncio.get_running_loop().time()
            self.fleet.health.failed(target.backend, _remembered(error), now=now)
        if isinstance(error, BackendError):
            logger.warning("attempt %d on %s failed: %s", progress.attempts, target, _remembered(error))


def _remembered(error: RouterError) -> str:
    """What logs and health may keep of a failure: not a backend's own words, which can quote a prompt."""
    if isinstance(error, (BackendUnreachable, BackendRefusedKey)):
        return error.message
    return f"{error.code.replace('_', ' ')} ({error.status})"

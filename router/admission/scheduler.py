"""Decides which requests run now on the backends of one lane: bounded, interactive first, fair, few loads. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from router.admission.claims import Claim, Entry, Granted, Limits, Priority, Queued, Refused, Verdict
from router.admission.demand import Backend, Demand, Run, Say, Shared
from router.admission.fairness import Shares
from router.admission.forecast import Forecast
from router.admission.line import Line
from router.admission.pace import Pace
from router.admission.residency import Residency, Sharing


@dataclass(frozen=True, slots=True)
class Moving:
    """A backend on its way from one lane to another, with those who run and wait there."""

    place: Backend | None
    runs: tuple[Run, ...]
    waiting: tuple[Claim, ...]


_GRANTED = Granted()
_LOADING = Granted(load=True)
_QUEUED = Queued()


class Lane:
    """One queue: of one backend, or of several that share a GPU.

    Tickets are never used again. Times are seconds of one monotonic clock. Whatever returns claims returns those that
    run from now on; what `ask` granted is told by its verdict alone.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._backends: dict[str, Backend] = {}
        self._shared: Shared = (Sharing(), [])
        self._running: dict[int, Run] = {}
        self._shares = Shares()
        self._pace = Pace()
        self._line = Line(limits, self._backends, self._shares)
        self._seen = float("-inf")  # when the line was last looked through to its end

    def ask(self, claim: Claim, now: float) -> Verdict:
        """Asks for a slot. A claim goes past those who wait only if they may not run."""
        demand = self._demand(claim)
        may_run = self._has_room() and demand.backend.say(demand, claim.priority, now) is Say.GRANT
        if may_run and not self._line:
            return self._grant(claim, demand, now)
        self._line.add(claim)
        if may_run and self._line.next(now) is claim:
            return self._take(claim, now)
        if reason := self._over(claim):
            self._line.remove(claim)
            return Refused(reason, self.retry_after(now))
        return _QUEUED

    def leave(self, ticket: int, now: float, *, served: bool = True) -> tuple[Claim, ...]:
        """Forgets a ticket: finished, gone, or moved on to another backend; unknown ones too.

        `served=False`: the backend did not do it, because it failed or the request took another grant. No service time
        is learned from it, and a model that was to be loaded for it is not taken for loaded.
        """
        run = self._running.pop(ticket, None)
        if run is not None:
            self._end(run, now, served=served)
        elif (claim := self._line.claims.get(ticket)) is not None:
            self._line.remove(claim)
        return self.advance(now) if self._line else ()

    def advance(self, now: float) -> tuple[Claim, ...]:
        """Grants what may run by now."""
        granted: list[Claim] = []
        while self._line and self._has_room() and (claim := self._line.next(now)) is not None:
            self._take(claim, now)
            granted.append(claim)
        self._seen = now
        return tuple(granted)

    def due(self, now: float) -> float | None:
        """When `advance` has to be called though nothing else happens; never before `now`."""
        if not self._line or not self._has_room():
            return None
        moments: list[float] = []
        for backend in self._backends.values():
            loads = backend.loads_wanted()
            moments.extend(backend.settled_at(overdue) for overdue in range(loads + 1) if loads)
        if moments:
            ageing = (at for at, claim in self._line.due_after(self._seen) if self._demand(claim).needs_load)
            moments.extend(at for at in (next(ageing, None),) if at is not None)
        ahead = [at for at in moments if at > self._seen]
        return max(now, min(ahead)) if ahead else None

    def resident(self, backend: str, models: Iterable[str], now: float) -> tuple[Claim, ...]:
        """What a probe saw loaded."""
        place = self._backend(backend)
        if isinstance(place.residency, Residency):
            place.residency.seen(models, place.runs())
        return self.advance(now)

    def running(self, backend: str, now: float, *, is_running: bool) -> tuple[Claim, ...]:
        """The process of a backend has begun, or is about to be gone."""
        place = self._backend(backend)
        if isinstance(place.residency, Sharing):
            place.residency.seen(backend, is_running=is_running)
        return self.advance(now)

    def set_limits(self, limits: Limits, now: float) -> tuple[Claim, ...]:
        """Other limits from now on; what runs goes on, and what waits stays even above a smaller depth."""
        self.limits = limits
        for backend in self._backends.values():
            backend.limit_to(limits, self._shared)
        self._line.age_by(limits.max_wait_s)
        return self.advance(now)

    def give_up(self, backend: str) -> Moving:
        """Is no longer the backend's lane: gives what runs and waits there to whoever is, or to nobody."""
        place = self._backends.get(backend)
        waiting = tuple(claim for claim in self._line.claims.values() if claim.backend == backend)
        for claim in waiting:
            self._line.remove(claim)
        runs = tuple(run for run in self._running.values() if run.claim.backend == backend)
        for run in runs:
            del self._running[run.claim.ticket]
            self._shares.forgot(run.claim.user, run.since)
        if place is not None:
            place.part()
            del self._backends[backend]
        return Moving(place, runs, waiting)

    def take_over(self, moving: Moving) -> None:
        """What another lane has given up runs and waits here from now on; to be advanced."""
        if moving.place is None:
            return
        self._backends[moving.place.name] = moving.place
        moving.place.limit_to(self.limits, self._shared)
        for run in moving.runs:
            self._running[run.claim.ticket] = run
            self._shares.started(run.claim.user, run.since)
        for claim in moving.waiting:
            self._line.add(claim)

    def forget_loaded(self, backend: str) -> None:
        """It is another server now: nobody knows what that has loaded."""
        place = self._backend(backend)
        if isinstance(place.residency, Sharing):
            place.residency.seen(backend, is_running=False)
        elif place.residency is not None:
            place.residency = Residency()

    def pause(self, backend: str) -> None:
        """No new grants on this backend; what runs goes on, what waits stays."""
        self._backend(backend).paused = True

    def resume(self, backend: str, now: float) -> tuple[Claim, ...]:
        """Undoes `pause`."""
        self._backend(backend).paused = False
        return self.advance(now)

    def loads(self, ticket: int) -> bool:
        """Tell whether a running ticket was granted as one that has its model loaded first."""
        return ticket in self._running and self._running[ticket].load

    def is_idle(self, backend: str, model: str, now: float) -> bool:
        """Whether one more claim for this model would run at once, before nobody's turn."""
        if self._line or not self._has_room():
            return False
        demand = self._backend(backend).demand(model)
        return demand.backend.say(demand, Priority.BATCH, now) is Say.GRANT

    def in_flight(self, backend: str | None = None, model: str | None = None) -> int:
        """How many run: in the lane, on a backend, on one model of it."""
        if backend is None:
            return len(self._running)
        if (place := self._backends.get(backend)) is None:
            return 0
        if model is None:
            return place.running
        return place.demands[model].running if model in place.demands else 0

    def waiting(self, backend: str | None = None, *, priority: Priority = Priority.BATCH) -> int:
        """How many wait: in the lane, or for one backend; of this class or a better one."""
        claims = self._line.claims
        if backend is None and priority is Priority.BATCH:
            return len(claims)
        return sum(backend in {None, claim.backend} and claim.priority <= priority for claim in claims.values())

    def loaded(self, backend: str) -> frozenset[str]:
        """Which models a backend that swaps them has loaded, as far as decisions and probes tell."""
        place = self._backends.get(backend)
        return frozenset(place.residency.loaded) if place is not None and place.residency is not None else frozenset()

    def entries(self, now: float) -> tuple[Entry, ...]:
        """Who waits, in the order in which their turns would come if nobody else asked."""
        return self._forecast(now).entries()

    def position(self, ticket: int, now: float) -> int | None:
        """1 is next; None if it does not wait."""
        claim = self._line.claims.get(ticket)
        return None if claim is None else self._forecast(now).position(claim)

    def eta(self, ticket: int, now: float) -> float | None:
        """Seconds until its turn, a guess; None if it does not wait."""
        claim = self._line.claims.get(ticket)
        return None if claim is None else self._forecast(now).eta_s(claim)

    def retry_after(self, now: float) -> float:
        """Seconds after which a refused client may try again: a quarter of the queue should be done. 1 to 60."""
        return self._forecast(now).retry_after_s()

    def _over(self, claim: Claim) -> Literal["user_share", "full"] | None:
        """Which bound the claim, already in the line, is too many for."""
        limits, line = self.limits, self._line
        mine = line.by_user[claim.user]
        if claim.user and mine > limits.max_per_user:
            return "user_share"
        if len(line) <= limits.max_depth:
            return None
        return "user_share" if claim.user and mine - 1 > limits.max_depth / len(line.by_user) else "full"

    def _take(self, claim: Claim, now: float) -> Verdict:
        self._line.remove(claim)
        self._line.took(claim, now)
        return self._grant(claim, self._demand(claim), now)

    def _grant(self, claim: Claim, demand: Demand, now: float) -> Verdict:
        backend = demand.backend
        load = demand.needs_load
        if backend.residency is not None:
            if load:
                backend.residency.load(demand.key, now, backend.runs())
            else:
                backend.residency.used(demand.key)
        backend.running += 1
        demand.running += 1
        self._shares.started(claim.user, now)
        self._running[claim.ticket] = Run(claim, demand, now, load)
        return _LOADING if load else _GRANTED

    def _end(self, run: Run, now: float, *, served: bool) -> None:
        demand = run.demand
        backend, model = demand.backend, demand.model
        demand.running -= 1
        backend.running -= 1
        self._shares.ended(run.claim.user, run.since, now)
        if served:
            self._pace.ran(backend.name, model, now - run.since, load=run.load)
        if backend.residency is not None:
            backend.residency.ended(demand.key)
            if run.load and not served and not demand.running:
                backend.residency.failed(demand.key)

    def _has_room(self) -> bool:
        limit = self.limits.max_parallel
        return limit is None or len(self._running) < limit

    def _demand(self, claim: Claim) -> Demand:
        return self._backend(claim.backend).demand(claim.model)

    def _backend(self, name: str) -> Backend:
        found = self._backends.get(name)
        if found is None:
            found = self._backends[name] = Backend(name, self.limits, self._shared)
        return found

    def _forecast(self, now: float) -> Forecast:
        runs = tuple(self._running.values())
        return Forecast(line=self._line, runs=runs, pace=self._pace, limits=self.limits, now=now)

"""What those who wait are told: position, time to go, when to come back. Guesses, from measured service times."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from router.admission.claims import Claim, Entry, Limits
from router.admission.demand import Run
from router.admission.line import Line
from router.admission.pace import Pace

MIN_RETRY_S = 1.0
MAX_RETRY_S = 60.0

Scope = tuple[str, ...]

_TOGETHER: Scope = ()


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The queue of one moment, put in the order in which turns would come if nobody else asked."""

    line: Line
    runs: Sequence[Run]
    pace: Pace
    limits: Limits
    now: float

    def entries(self) -> tuple[Entry, ...]:
        """All who wait, the next one first."""
        return tuple(
            Entry(claim, position, max(0.0, self.now - claim.at), self._etas_s[claim.ticket])
            for position, claim in enumerate(self._order, start=1)
        )

    def position(self, claim: Claim) -> int:
        """1 is next."""
        return self._order.index(claim) + 1

    def eta_s(self, claim: Claim) -> float:
        """Until its turn."""
        return self._etas_s[claim.ticket]

    def retry_after_s(self) -> float:
        """Until a quarter of the queue is done, within bounds."""
        waiting = self.line.claims.values()
        work = sum(self._service_s(claim) for claim in waiting) / 4 or max(map(self._left_s, self.runs), default=0.0)
        return min(MAX_RETRY_S, max(MIN_RETRY_S, work / max(1, len(self.runs))))

    @cached_property
    def _order(self) -> list[Claim]:
        by_class = self._by_class()
        late = self.line.overdue(self.now)
        turns = (claim for pair in zip_longest(late, by_class) for claim in pair if claim is not None)
        return list({claim.ticket: claim for claim in turns}.values())

    def _by_class(self) -> list[Claim]:
        """A user's claims count as if each had run before the next one's turn."""
        used: dict[str, float] = {}
        keys: list[tuple[int, bool, float, float, int, Claim]] = []
        for claim in sorted(self.line.claims.values(), key=lambda claim: (claim.priority, claim.at, claim.ticket)):
            mine = used.get(claim.user)
            mine = self.line.shares.used(claim.user, self.now) if mine is None else mine
            used[claim.user] = mine + self._service_s(claim)
            keys.append((claim.priority, self._loads(claim), mine, claim.at, claim.ticket, claim))
        return [key[-1] for key in sorted(keys)]

    @cached_property
    def _etas_s(self) -> dict[int, float]:
        work: dict[Scope, float] = {}
        for run in self.runs:
            scope = self._scope(run.claim)
            work[scope] = work.get(scope, 0.0) + self._left_s(run)
        loads: dict[Scope, set[str]] = {}
        etas: dict[int, float] = {}
        for claim in self._order:
            scope, backend = self._scope(claim), claim.backend
            place = _TOGETHER if self._takes_turns(backend) else (backend,)
            if self._loads(claim):
                loads.setdefault(place, set()).add(self.line.demand(claim).key)
            before = work.get(scope, 0.0)
            etas[claim.ticket] = before / self._slots(claim) + len(loads.get(place, ())) * self.pace.load_s(backend)
            work[scope] = before + self._service_s(claim)
        return etas

    def _scope(self, claim: Claim) -> Scope:
        """Claims of one scope wait for the same slots: the lane's, a backend's, or those of one model."""
        limits, backend = self.limits, claim.backend
        if limits.max_parallel is not None or self._takes_turns(backend):
            return _TOGETHER
        whole = backend in limits.reloading or limits.per_backend.get(backend)
        return (backend,) if whole else (backend, claim.model)

    def _takes_turns(self, backend: str) -> bool:
        """Whether it may have to wait for others of its lane to be done, for want of memory."""
        return backend in self.limits.sharing and not self.limits.fits(self.limits.sharing)

    def _slots(self, claim: Claim) -> int:
        limits = (self.limits.max_parallel, self.limits.per_backend.get(claim.backend))
        tightest = min((limit for limit in limits if limit), default=None)
        return tightest or self.limits.per_model.get(claim.backend) or 1

    def _left_s(self, run: Run) -> float:
        return max(0.0, self._service_s(run.claim) - (self.now - run.since))

    def _service_s(self, claim: Claim) -> float:
        return self.pace.service_s(claim.backend, claim.model)

    def _loads(self, claim: Claim) -> bool:
        return self.line.demand(claim).needs_load

"""The queue of a lane: who waits, and whose turn is next."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import count

from router.admission.claims import Claim, Limits, Priority
from router.admission.demand import Backend, Demand, Place, Say
from router.admission.fairness import Shares

AGES = (
    6  # of the longest wait: an interactive claim is overdue after one, a normal one after two, a batch one after three
)

_CLASSES = tuple(int(priority) for priority in Priority)


class Line:
    """Turns alternate: one in the order of classes and shares, one for a claim that waits too long, if there is any.

    So no flood of a better class starves the others, and no flood of old batch work keeps an interactive request
    waiting behind more than every other turn. Overdue users take turns as well, whatever each of them has queued.
    """

    def __init__(self, limits: Limits, backends: dict[str, Backend], shares: Shares) -> None:
        self.backends = backends
        self.shares = shares
        self._max_wait_s = limits.max_wait_s
        self.claims: dict[int, Claim] = {}
        self.by_user: dict[str, int] = {}
        self._by_due: list[Place] = []
        self._is_for_overdue = True
        self._turns = count(1)
        self._last_turn: dict[str, int] = {}  # of users who wait: when they last had an overdue claim's turn

    def __len__(self) -> int:
        return len(self.claims)

    def add(self, claim: Claim) -> None:
        """It waits from now on."""
        self.claims[claim.ticket] = claim
        self.by_user[claim.user] = self.by_user.get(claim.user, 0) + 1
        insort(self._by_due, self._place(claim))
        self.demand(claim).add(claim)

    def remove(self, claim: Claim) -> None:
        """It waits no longer."""
        del self.claims[claim.ticket]
        del self._by_due[bisect_left(self._by_due, self._place(claim)[:2])]
        self.demand(claim).remove(claim)
        left = self.by_user[claim.user] - 1
        if left:
            self.by_user[claim.user] = left
        else:
            del self.by_user[claim.user]
            self._last_turn.pop(claim.user, None)

    def age_by(self, max_wait_s: float) -> None:
        """The longest wait is another one now."""
        self._max_wait_s = max_wait_s
        self._by_due = sorted(self._place(claim) for claim in self.claims.values())

    def next(self, now: float) -> Claim | None:
        """Whose turn it is, of those who may run; takes nobody out."""
        held: set[str] = set()
        late = self._longest_overdue(now, held)
        return late if late and self._is_for_overdue else self._first(now, held)

    def took(self, claim: Claim, now: float) -> None:
        """This claim has had its turn."""
        if self._is_for_overdue and self._place(claim)[0] <= now:
            self._is_for_overdue = False
            if claim.user in self.by_user:
                self._last_turn[claim.user] = next(self._turns)
        else:
            self._is_for_overdue = True

    def overdue(self, now: float) -> Iterator[Claim]:
        """Those who wait too long, the one that is so for longest first."""
        return (claim for _, _, claim in self._places_overdue(now))

    def due_after(self, moment: float) -> Iterator[tuple[float, Claim]]:
        """Who becomes overdue later than that, and when; the next first."""
        start = bisect_left(self._by_due, (moment, float("inf")))
        return ((due, claim) for due, _, claim in self._by_due[start:])

    def _longest_overdue(self, now: float, held: set[str]) -> Claim | None:
        late = self._places_overdue(now)
        if not late:
            return None
        demands = {self.demand(claim) for _, _, claim in late}
        last_turn = self._last_turn
        said: dict[Demand, Say] = {}
        for _, (_, _, claim) in sorted((last_turn.get(place[2].user, 0), place) for place in late):
            demand = self.demand(claim)
            if demand not in said:
                loads = sum(
                    other.backend.residency is demand.backend.residency and other.needs_load for other in demands
                )
                said[demand] = demand.backend.say(demand, claim.priority, now, overdue=max(1, loads))
            if said[demand] is Say.HOLD:
                held.update(backend.name for backend in demand.backend.neighbours)
            elif said[demand] is Say.GRANT and claim.backend not in held:
                return claim
        return None

    def _first(self, now: float, held: set[str]) -> Claim | None:
        asked = [demand for demand in self._demands() if demand.best is not None]
        for priority in _CLASSES:
            free: list[Demand] = []
            for demand in asked:
                if not demand.waiting[priority] or demand.backend.name in held:
                    continue
                say = demand.backend.say(demand, priority, now)
                if say is Say.GRANT:
                    free.append(demand)
                elif say is Say.HOLD:
                    held.update(backend.name for backend in demand.backend.neighbours)
            if free:
                return self._least_used(free, priority, now)
        return None

    def _least_used(self, demands: list[Demand], priority: int, now: float) -> Claim | None:
        best: tuple[float, Place] | None = None
        used = self.shares.used
        for demand in demands:
            for user, places in demand.waiting[priority].items():
                mine = (used(user, now), places[0])
                if best is None or mine < best:
                    best = mine
        return best[1][2] if best else None

    def _places_overdue(self, now: float) -> list[Place]:
        return self._by_due[: bisect_left(self._by_due, (now, float("inf")))]

    def _demands(self) -> Iterator[Demand]:
        return (demand for backend in self.backends.values() if backend.is_open for demand in backend.demands.values())

    def demand(self, claim: Claim) -> Demand:
        """What it is one of."""
        return self.backends[claim.backend].demands[claim.model]

    def _place(self, claim: Claim) -> Place:
        return (claim.at + self._max_wait_s * (claim.priority + 1) / AGES, claim.ticket, claim)

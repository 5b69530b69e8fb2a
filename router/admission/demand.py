"""What runs and waits on each backend of a lane and on each of its models; says whether one more may run."""

from bisect import bisect_left, insort
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from router.admission.claims import Claim, Limits
from router.admission.residency import Residency, Sharing

MAX_MODELS = 256  # of one backend; more are names that clients made up, and the idle ones are forgotten

Place = tuple[float, int, Claim]  # what it is sorted by, then the ticket


class Say(Enum):
    """Whether a claim may run now."""

    GRANT = 1
    SKIP = 2
    HOLD = 3  # it is its turn, but others have to finish first: no new ones on this backend meanwhile


class Demand:
    """The claims for one model on one backend: how many run, and who waits, by class and user in order of arrival."""

    __slots__ = ("backend", "model", "running", "waiting")

    def __init__(self, backend: "Backend", model: str) -> None:
        self.backend = backend
        self.model = model
        self.running = 0
        self.waiting: tuple[dict[str, list[Place]], ...] = ({}, {}, {})

    def add(self, claim: Claim) -> None:
        """One more waits."""
        insort(self.waiting[claim.priority].setdefault(claim.user, []), (claim.at, claim.ticket, claim))

    def remove(self, claim: Claim) -> None:
        """It waits no longer."""
        users = self.waiting[claim.priority]
        line = users[claim.user]
        del line[bisect_left(line, (claim.at, claim.ticket))]
        if not line:
            del users[claim.user]

    @property
    def best(self) -> int | None:
        """The highest class that waits."""
        interactive, normal, batch = self.waiting
        return 0 if interactive else 1 if normal else 2 if batch else None

    @property
    def needs_load(self) -> bool:
        """Whether a request to the model would have it loaded first."""
        residency = self.backend.residency
        return residency is not None and self.key not in residency.loaded

    @property
    def key(self) -> str:
        """What residency knows it by."""
        return self.backend.name if type(self.backend.residency) is Sharing else self.model

    @property
    def idle(self) -> bool:
        return not self.running and self.best is None


class Backend:
    """One backend of a lane."""

    __slots__ = ("_limits", "demands", "limit", "model_limit", "name", "neighbours", "paused", "residency", "running")

    def __init__(self, name: str, limits: Limits, shared: "Shared") -> None:
        self.name = name
        self.neighbours: list[Backend] = [self]  # those whose models have to fit beside its own
        self.running = 0
        self.paused = False
        self.demands: dict[str, Demand] = {}
        self.residency: Residency | Sharing | None = None
        self.limit_to(limits, shared)

    def limit_to(self, limits: Limits, shared: "Shared") -> None:
        """Takes its own part of the lane's limits, and of what the lane's processes share if it is one of them."""
        self._limits = limits
        self.limit = limits.per_backend.get(self.name)
        self.model_limit = limits.per_model.get(self.name)
        if self.name not in limits.sharing:
            self.part()
            self.residency = (self.residency or Residency()) if self.name in limits.reloading else None
            return
        if self.residency is not shared[0]:
            self.part()
            self.residency, self.neighbours = shared
            self.neighbours.append(self)
        shared[0].may_share = limits.fits

    def part(self) -> None:
        """Is no process of its lane any more, or of no lane."""
        if isinstance(self.residency, Sharing):
            self.residency.seen(self.name, is_running=False)
            self.neighbours.remove(self)
            self.residency, self.neighbours = None, [self]

    @property
    def is_open(self) -> bool:
        """Whether any new claim may run here."""
        return not self.paused and (self.limit is None or self.running < self.limit)

    def demand(self, model: str) -> Demand:
        """The model's claims, none at first."""
        found = self.demands.get(model)
        if found is None:
            if len(self.demands) >= MAX_MODELS:
                self.demands = {name: demand for name, demand in self.demands.items() if not demand.idle}
            found = self.demands[model] = Demand(self, model)
        return found

    def runs(self) -> list[str]:
        """What has requests running, here and on its neighbours."""
        return [demand.key for backend in self.neighbours for demand in backend.demands.values() if demand.running]

    def loads_wanted(self) -> int:
        """For how many models that are not loaded somebody waits, here and on its neighbours."""
        return sum(
            demand.best is not None and demand.needs_load
            for backend in self.neighbours
            for demand in backend.demands.values()
        )

    def settled_at(self, overdue: int = 0) -> float:
        """When the model that was loaded last may be pushed out though requests for it wait.

        Sooner if claims for several models are overdue, so that each gets its load within half of the longest wait.
        """
        if self.residency is None:
            return float("-inf")
        limits = self._limits
        stay_s = min(limits.min_residency_s, limits.max_wait_s / 2 / overdue) if overdue else limits.min_residency_s
        return self.residency.since + stay_s

    def say(self, demand: Demand, priority: int, now: float, *, overdue: int = 0) -> Say:
        """Whether one more claim for this model may run; the lane's own limit apart.

        `overdue`: the claim is, and claims for so many models that are not loaded are as well.
        """
        if not self.is_open or (self.model_limit is not None and demand.running >= self.model_limit):
            return Say.SKIP
        residency = self.residency
        if residency is None or demand.key in residency.loaded or residency.fits(demand.key, residency.loaded):
            return Say.GRANT
        runs = self.runs()
        rival = self._waiting_for(residency.goes_for(demand.key, runs))
        if rival is not None and (now < self.settled_at(overdue) or (rival <= priority and not overdue)):
            return Say.SKIP
        return Say.GRANT if residency.fits(demand.key, runs) else Say.HOLD

    def _waiting_for(self, keys: AbstractSet[str]) -> int | None:
        """The highest class of those who wait for one of these."""
        if type(self.residency) is Sharing:
            demands = [demand for each in self.neighbours if each.name in keys for demand in each.demands.values()]
        else:
            demands = [self.demands[key] for key in keys if key in self.demands]
        return min((best for demand in demands if (best := demand.best) is not None), default=None)


Shared = tuple[Sharing, list[Backend]]
"""What the processes of a lane have in common, and which these are."""


@dataclass(frozen=True, slots=True)
class Run:
    """A claim that was granted and has not left."""

    claim: Claim
    demand: Demand
    since: float
    load: bool

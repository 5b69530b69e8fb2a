"""What runs and waits on each backend of a lane and on each of its models; says whether one more may run."""

from bisect import bisect_left, insort
from dataclasses import dataclass
from enum import Enum

from router.admission.claims import Claim, Limits
from router.admission.residency import Residency

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
    def idle(self) -> bool:
        return not self.running and self.best is None


class Backend:
    """One backend of a lane."""

    __slots__ = ("_limits", "demands", "limit", "model_limit", "name", "paused", "residency", "running")

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.running = 0
        self.paused = False
        self.demands: dict[str, Demand] = {}
        self.residency: Residency | None = None
        self.limit_to(limits)

    def limit_to(self, limits: Limits) -> None:
        """Takes its own part of the lane's limits."""
        self._limits = limits
        self.limit = limits.per_backend.get(self.name)
        self.model_limit = limits.per_model.get(self.name)
        reloading = self.name in limits.reloading
        self.residency = (self.residency or Residency()) if reloading else None

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
        """The models with requests running."""
        return [demand.model for demand in self.demands.values() if demand.running]

    def loads(self, model: str) -> bool:
        """Tell whether a request to the model would have it loaded first."""
        return self.residency is not None and model not in self.residency.loaded

    def settled_at(self) -> float:
        """When the model that was loaded last may be pushed out though requests for it wait."""
        return self.residency.since + self._limits.min_residency_s if self.residency else float("-inf")

    def say(self, demand: Demand, priority: int, now: float, *, overdue: bool = False) -> Say:
        """Whether one more claim for this model may run; the lane's own limit apart."""
        if not self.is_open:
            return Say.SKIP
        if self.model_limit is not None and demand.running >= self.model_limit:
            return Say.SKIP
        residency = self.residency
        if residency is None or demand.model in residency.loaded or residency.fits(demand.model, residency.loaded):
            return Say.GRANT
        rival = self._resident_waiting(residency)
        if rival is not None and (now < self.settled_at() or (rival <= priority and not overdue)):
            return Say.SKIP
        return Say.GRANT if residency.fits(demand.model, self.runs()) else Say.HOLD

    def _resident_waiting(self, residency: Residency) -> int | None:
        best: int | None = None
        for model in residency.loaded:
            waits = self.demands[model].best if model in self.demands else None
            if waits is not None and (best is None or waits < best):
                best = waits
        return best


@dataclass(frozen=True, slots=True)
class Run:
    """A claim that was granted and has not left."""

    claim: Claim
    demand: Demand
    since: float
    load: bool

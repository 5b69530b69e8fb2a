"""How far a pull is, as its server tells it. Pure: the clock is passed in."""

from collections.abc import Iterable, Mapping
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from router.canonical.library import PullStep
from router.errors import BackendFailed, RouterError

SAMPLE_S = 1.0
STALE_S = 10.0
"""A speed that is older is not told any more."""
WEIGHT = 0.5
"""Of a new sample against those before."""
MAX_LAYERS = 1000
"""Models have a dozen."""


class State(Enum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Layer(Struct, frozen=True, gc=False):
    """A part of a model; sizes are bytes."""

    digest: str
    total: int
    completed: int


class Pace(Struct, frozen=True, gc=False):
    """How fast bytes come: `gained` so far, and so many when the last sample was taken."""

    gained: int = 0
    sampled: int = 0
    at: float | None = None
    per_s: float | None = None

    def plus(self, gained: int, now: float) -> "Pace":
        if self.at is None:
            return Pace(gained, 0, now)
        whole, took = self.gained + gained, now - self.at
        if took < SAMPLE_S:
            return replace(self, gained=whole)
        fresh = (whole - self.sampled) / took
        is_first = self.per_s is None or took > STALE_S
        return Pace(whole, whole, now, fresh if is_first else WEIGHT * fresh + (1 - WEIGHT) * (self.per_s or 0.0))

    def speed(self, now: float) -> float | None:
        """Bytes a second; None where nobody knows."""
        return self.per_s if self.at is not None and now - self.at <= STALE_S else None


class Pull(Struct, frozen=True, kw_only=True):
    """One model on its way to a backend; times are seconds since 1970.

    `status` is what the server said last, `digest` the layer that was about, if about one. `tries` counts how often it
    was begun, `restarts` how often because the router was started again.
    """

    id: str
    backend: str
    model: str
    started_at: float
    state: State = State.RUNNING
    status: str = ""
    digest: str = ""
    layers: Mapping[str, Layer] = {}
    pace: Pace = Pace()
    tries: int = 0
    restarts: int = 0
    ended_at: float | None = None
    error: RouterError | None = None

    @property
    def is_running(self) -> bool:
        return self.state is State.RUNNING

    @property
    def total(self) -> int:
        """Bytes of the layers that are known so far."""
        return sum(layer.total for layer in self.layers.values())

    @property
    def completed(self) -> int:
        return sum(layer.completed for layer in self.layers.values())

    @property
    def percent(self) -> int | None:
        """None while no layer is known."""
        total = self.total
        return min(100, 100 * self.completed // total) if total else None

    def told(self, steps: Iterable[PullStep], now: float) -> "Pull":
        """What it is after these words of its server; `now` is of any clock.

        Raises BackendFailed for more layers than a model has.
        """
        status, digest, layers, pace = self.status, self.digest, dict(self.layers), self.pace
        for step in steps:
            status, digest = step.status, step.digest
            if digest:
                before = layers.get(digest)
                layers[digest] = layer = _layer(step, before)
                pace = pace.plus(max(0, layer.completed - before.completed) if before else 0, now)
            if len(layers) > MAX_LAYERS:
                raise BackendFailed(f"{self.backend} tells of more than {MAX_LAYERS:,} layers: that is no model")
        return replace(self, status=status, digest=digest, layers=layers, pace=pace)

    def stalled(self, words: str) -> "Pull":
        """Nothing comes just now."""
        return replace(self, status=words, digest="", pace=Pace())

    def begun(self) -> "Pull":
        """Its server is asked, perhaps once more."""
        return replace(self, tries=self.tries + 1)

    def ended(self, state: State, at: float, error: RouterError | None = None) -> "Pull":
        """It is over. Every layer of a model that is there is whole, whatever was told last."""
        layers = self.layers
        if state is State.DONE:
            layers = {key: replace(layer, completed=layer.total) for key, layer in layers.items()}
        return replace(self, state=state, ended_at=at, error=error, layers=layers)


def _layer(step: PullStep, before: Layer | None) -> Layer:
    total = max(step.total, step.completed, 0)
    return Layer(step.digest, total or (before.total if before else 0), max(0, step.completed))

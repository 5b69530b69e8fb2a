"""The state of every backend, fed by looks and by the outcomes of requests. Pure: the clock is passed in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from router.canonical.models import ModelInfo, Probe, canonical_name

FIRST_COOLDOWN_S = 1.0
MAX_COOLDOWN_S = 30.0


class State(Enum):
    """UNKNOWN has never been looked at; HALF_OPEN was down and may be tried by one request at a time."""

    UNKNOWN = "unknown"
    UP = "up"
    HALF_OPEN = "half_open"
    DOWN = "down"


class Readiness(Enum):
    """What planning needs to know: use it, let one request try it, or only when nobody else is left."""

    READY = 0
    TRIAL = 1
    DOWN = 2


@dataclass(slots=True)
class BackendHealth:
    """One backend; times are seconds of a monotonic clock, latency is seconds."""

    name: str
    state: State = State.UNKNOWN
    models: tuple[ModelInfo, ...] = ()
    version: str | None = None
    last_seen: float | None = None
    last_look: float | None = None
    models_at: float | None = None
    latency_s: float | None = None
    last_error: str | None = None
    in_flight: int = 0
    slots: int | None = None
    drained: bool = False
    retry_at: float | None = None
    cooldown_s: float = FIRST_COOLDOWN_S
    on_trial: bool = False
    missing: set[str] = field(default_factory=set[str])

    def readiness(self, now: float) -> Readiness:
        """Whether a request may go there at `now`."""
        if self.state in {State.UP, State.UNKNOWN}:
            return Readiness.READY
        may_try = self.state is State.HALF_OPEN or (self.retry_at is not None and now >= self.retry_at)
        return Readiness.TRIAL if may_try and not self.on_trial else Readiness.DOWN

    @property
    def is_trusted(self) -> bool:
        """Whether nothing speaks against it although nobody has looked: what a passive backend is at first."""
        return self.state is State.UNKNOWN and self.models_at is not None

    def model(self, name: str) -> ModelInfo | None:
        """What is known of a model, `m` being the same as `m:latest`."""
        wanted = canonical_name(name)
        return next((model for model in self.models if canonical_name(model.name) == wanted), None)


class Health:
    """All backends. Every method is synchronous: nothing is decided across an await."""

    def __init__(self, backends: Iterable[str] = ()) -> None:
        self._backends = {name: BackendHealth(name) for name in backends}

    def __iter__(self) -> Iterator[BackendHealth]:
        return iter(self._backends.values())

    def __contains__(self, backend: str) -> bool:
        return backend in self._backends

    def __getitem__(self, backend: str) -> BackendHealth:
        return self._backends[backend]

    def add(self, backend: str) -> None:
        """Starts to keep a backend's state."""
        self._backends.setdefault(backend, BackendHealth(backend))

    def looked(self, backend: str, probe: Probe, *, now: float, latency_s: float) -> None:
        """A look found the backend answering. After failed requests that only earns it a trial."""
        health = self._backends[backend]
        health.last_seen = health.last_look = now
        health.latency_s = latency_s
        health.version = probe.version or health.version
        health.models, health.models_at = probe.models, now
        health.slots = probe.slots
        health.missing.clear()
        if health.state is State.HALF_OPEN or (health.state is State.DOWN and health.retry_at is not None):
            health.state = State.HALF_OPEN
        else:
            health.state, health.last_error = State.UP, None

    def told(self, backend: str, models: tuple[ModelInfo, ...], *, now: float) -> None:
        """The models of a backend that is not looked at. Whether it is up only requests can tell."""
        health = self._backends[backend]
        health.models, health.models_at = models, now

    def look_failed(self, backend: str, error: str, *, now: float, models_s: float) -> None:
        """A look failed; the next good one brings the backend back. Its models are forgotten after `models_s`."""
        health = self._backends[backend]
        if health.models_at is not None and now - health.models_at > models_s:
            health.models, health.models_at = (), None
        health.last_look = now
        health.last_error = error
        health.state, health.retry_at = State.DOWN, None

    def started(self, backend: str, *, now: float) -> bool:
        """A request goes to the backend. True when it is the one that tries it: no other may until it `ended`."""
        health = self._backends[backend]
        health.in_flight += 1
        is_trial = health.readiness(now) is Readiness.TRIAL
        if is_trial:
            health.state, health.on_trial = State.HALF_OPEN, True
        return is_trial

    def ended(self, backend: str, *, was_trial: bool) -> None:
        """The request that `started` is over, whatever became of it."""
        health = self._backends[backend]
        health.in_flight -= 1
        if was_trial:
            health.on_trial = False

    def succeeded(self, backend: str, *, model: str = "", now: float) -> None:
        """A request was answered: the backend is up, and it has the model."""
        health = self._backends[backend]
        if health.missing:
            health.missing.discard(canonical_name(model))
        health.state, health.last_error, health.last_seen = State.UP, None, now
        health.retry_at, health.cooldown_s = None, FIRST_COOLDOWN_S

    def failed(self, backend: str, error: str, *, now: float) -> None:
        """A request failed for a reason that is the backend's: it is down at once, longer each time it came back.

        Requests that fail while it is down already, having begun before, say nothing new.
        """
        health = self._backends[backend]
        health.last_error = error
        if health.state is State.DOWN and health.retry_at is not None and now < health.retry_at:
            return
        health.state = State.DOWN
        health.retry_at = now + health.cooldown_s
        health.cooldown_s = min(health.cooldown_s * 2, MAX_COOLDOWN_S)

    def drain(self, backend: str) -> None:
        """Somebody wants nothing new to go there; that says nothing of its state."""
        self._backends[backend].drained = True

    def resume(self, backend: str) -> None:
        """Undoes `drain`."""
        self._backends[backend].drained = False

    def model_missing(self, backend: str, model: str) -> None:
        """The backend does not have the model, as far as a request could tell; its other models are not concerned."""
        self._backends[backend].missing.add(canonical_name(model))

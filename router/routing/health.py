"""The state of every backend, fed by looks and by the outcomes of requests. Pure: the clock is passed in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from math import inf

from router.canonical.models import Glance, ModelInfo, Probe, canonical_name

FIRST_COOLDOWN_S = 1.0
MAX_COOLDOWN_S = 30.0


class State(Enum):
    """UNKNOWN has never been looked at; HALF_OPEN was down and may be tried by one request at a time.

    LOADING answers that it is not ready yet because it loads its model.
    """

    UNKNOWN = "unknown"
    UP = "up"
    LOADING = "loading"
    HALF_OPEN = "half_open"
    DOWN = "down"


class Readiness(Enum):
    """What planning needs to know: use it, let one request try it, after those, or only when nobody else is left."""

    READY = 0
    TRIAL = 1
    LOADING = 2
    DOWN = 3


@dataclass(slots=True)
class BackendHealth:
    """One backend; times are seconds of a monotonic clock, latency is seconds.

    `slots` is how many requests it says that it runs at once, `others` how many of them were not ours at the last
    look. `resident` holds until when each loaded model stays so, and is None while the backend does not say.
    """

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
    by_name: dict[str, ModelInfo] = field(default_factory=dict[str, ModelInfo])
    resident: dict[str, float] | None = None
    others: int = 0
    last_used: float | None = None

    def readiness(self, now: float) -> Readiness:
        """Whether a request may go there at `now`."""
        if self.state is State.UP or self.state is State.UNKNOWN:
            return Readiness.READY
        if self.state is State.LOADING:
            return Readiness.LOADING
        may_try = self.state is State.HALF_OPEN or (self.retry_at is not None and now >= self.retry_at)
        return Readiness.TRIAL if may_try and not self.on_trial else Readiness.DOWN

    @property
    def is_trusted(self) -> bool:
        """Whether nothing speaks against it although nobody has looked: what a passive backend is at first."""
        return self.state is State.UNKNOWN and self.models_at is not None

    def model(self, name: str) -> ModelInfo | None:
        """What is known of a model, `m` being the same as `m:latest`."""
        return self.by_name.get(canonical_name(name))

    def has_loaded(self, model: str, now: float) -> bool | None:
        """Whether a model, by its canonical name, is loaded at `now`; None when the backend does not say."""
        return None if self.resident is None else self.resident.get(model, now) > now

    def knows(self, models: tuple[ModelInfo, ...], now: float | None) -> None:
        """Takes over a list of models."""
        self.models, self.models_at = models, now
        self.by_name = {canonical_name(model.name): model for model in reversed(models)}


class Health:
    """All backends. Every method is synchronous: nothing is decided across an await.

    One that was removed is kept for those who have it in their plans, until it is forgotten, but no longer listed.
    """

    def __init__(self, backends: Iterable[str] = ()) -> None:
        self._backends = {name: BackendHealth(name) for name in backends}
        self._removed: dict[str, BackendHealth] = {}

    def __iter__(self) -> Iterator[BackendHealth]:
        return iter(tuple(self._backends.values()))  # a scrape iterates in another thread

    def __contains__(self, backend: str) -> bool:
        return backend in self._backends

    def __getitem__(self, backend: str) -> BackendHealth:
        return self._backends.get(backend) or self._removed[backend]

    def add(self, backend: str) -> None:
        """Starts to keep a backend's state."""
        self._backends.setdefault(backend, BackendHealth(backend))

    def become(self, backends: Iterable[str], *, changed: Iterable[str] = ()) -> None:
        """From now on there are these, in this order; nothing is known of those that are new or have `changed`.

        Requests that are on their way stay counted. The models of changed ones are taken to be the same until a look.
        """
        known = {**self._removed, **self._backends}
        renewed = {name: _renewed(known[name]) for name in {*changed, *self._removed} if name in known}
        before, known = self._backends, {**known, **renewed}
        self._backends = {name: known.get(name) or BackendHealth(name) for name in backends}
        self._removed = {
            name: health for name, health in {**self._removed, **before}.items() if name not in self._backends
        }

    def forget(self, backend: str) -> None:
        """Nobody has the removed backend in a plan any more."""
        self._removed.pop(backend, None)

    def looked(self, backend: str, probe: Probe, *, now: float, latency_s: float, ours: int = 0) -> None:
        """A look found the backend answering. After failed requests that only earns it a trial. See `glanced`."""
        health = self[backend]
        health.last_seen = health.last_look = now
        health.latency_s = latency_s
        health.version = probe.version or health.version
        health.knows(probe.models, now)
        health.missing.clear()
        says = any(model.loaded is not None for model in probe.models)
        loaded = {model.name: model.loaded_s for model in probe.models if model.loaded}
        glance = Glance(loaded=loaded if says else None, slots=probe.slots, idle_slots=probe.idle_slots)
        health.resident = None
        self.glanced(backend, glance, now=now, ours=ours)
        if health.state is State.HALF_OPEN or (health.state is State.DOWN and health.retry_at is not None):
            health.state = State.HALF_OPEN
        else:
            health.state, health.last_error = State.UP, None

    def glanced(self, backend: str, glance: Glance, *, now: float, ours: int = 0) -> None:
        """What is loaded, and how many slots others have taken. Says nothing about whether it is up.

        `ours` is how many requests were in flight when it was asked, some of which may have ended since.
        """
        health = self[backend]
        if glance.loaded is not None:
            health.resident = {
                canonical_name(model): inf if stays is None else now + stays for model, stays in glance.loaded.items()
            }
        health.slots = glance.slots or health.slots
        busy = 0 if glance.slots is None or glance.idle_slots is None else glance.slots - glance.idle_slots
        health.others = max(0, busy - max(ours, health.in_flight))

    def look_found_loading(self, backend: str, *, now: float) -> None:
        """It answers, but only that it loads its model: it has been started, so what was before counts no more."""
        health = self[backend]
        health.last_seen = health.last_look = now
        health.state, health.retry_at, health.cooldown_s = State.LOADING, None, FIRST_COOLDOWN_S
        health.last_error = "loading its model"
        health.others = 0

    def told(self, backend: str, models: tuple[ModelInfo, ...], *, now: float) -> None:
        """The models of a backend that is not looked at. Whether it is up only requests can tell."""
        self[backend].knows(models, now)

    def look_failed(self, backend: str, error: str, *, now: float, models_s: float) -> None:
        """A look failed; the next good one brings the backend back. Its models are forgotten after `models_s`."""
        health = self[backend]
        if health.models_at is not None and now - health.models_at > models_s:
            health.knows((), None)
        health.last_look = now
        health.last_error = error
        health.state, health.retry_at = State.DOWN, None

    def started(self, backend: str, *, now: float) -> bool:
        """A request goes to the backend. True when it is the one that tries it: no other may until it `ended`."""
        health = self[backend]
        health.in_flight += 1
        health.last_used = now
        is_trial = health.readiness(now) is Readiness.TRIAL
        if is_trial:
            health.state, health.on_trial = State.HALF_OPEN, True
        return is_trial

    def ended(self, backend: str, *, was_trial: bool) -> None:
        """The request that `started` is over, whatever became of it."""
        health = self[backend]
        health.in_flight -= 1
        if was_trial:
            health.on_trial = False

    def succeeded(self, backend: str, *, model: str = "", now: float) -> None:
        """A request was answered: the backend is up, and it has the model, loaded.

        Whether another model had to go for it, the next look tells.
        """
        health = self[backend]
        if health.missing:
            health.missing.discard(canonical_name(model))
        if health.resident is not None and model:
            health.resident[canonical_name(model)] = inf
        health.state, health.last_error, health.last_seen = State.UP, None, now
        health.retry_at, health.cooldown_s = None, FIRST_COOLDOWN_S

    def failed(self, backend: str, error: str, *, now: float) -> None:
        """A request failed for a reason that is the backend's: it is down at once, longer each time it came back.

        Requests that fail while it is down already, having begun before, say nothing new.
        """
        health = self[backend]
        health.last_error = error
        if health.state is State.DOWN and health.retry_at is not None and now < health.retry_at:
            return
        health.state = State.DOWN
        health.retry_at = now + health.cooldown_s
        health.cooldown_s = min(health.cooldown_s * 2, MAX_COOLDOWN_S)

    def drain(self, backend: str) -> None:
        """Somebody wants nothing new to go there; that says nothing of its state."""
        self[backend].drained = True

    def resume(self, backend: str) -> None:
        """Undoes `drain`."""
        self[backend].drained = False

    def model_missing(self, backend: str, model: str) -> None:
        """The backend does not have the model, as far as a request could tell; its other models are not concerned."""
        self[backend].missing.add(canonical_name(model))


def _renewed(before: BackendHealth) -> BackendHealth:
    return BackendHealth(
        before.name,
        models=before.models,
        models_at=before.models_at,
        by_name=before.by_name,
        in_flight=before.in_flight,
        drained=before.drained,
        last_used=before.last_used,
    )

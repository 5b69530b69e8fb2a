"""Which backends may serve a request, in which order, and why. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from router.canonical.caller import NOBODY, Caller, Priority
from router.canonical.models import canonical_name
from router.canonical.request import Profile
from router.errors import NoBackend, RouterError, UnknownModel
from router.routing.catalog import Alias, Catalog, Target, same_model
from router.routing.health import Health, Readiness

AUTO = "auto"
TASK_PREFIX = "task:"
RETRY_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan is made for: the `model` that was asked for, and what the request itself needs.

    `looks` is the priority that it seems to have, where nobody says which.
    """

    model: str
    task: str | None = None
    images: bool = False
    embedding: bool = False
    caller: Caller = NOBODY
    looks: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model on a backend that may serve the request, with what its alias adds."""

    target: Target
    profile: Profile = field(default_factory=Profile)
    readiness: Readiness = Readiness.READY
    note: str = ""
    drained: bool = False
    resident: bool | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Candidates in the order to try them; `reason` says in a few words how the model was chosen.

    `alias` is the one that led to them, if one did. `pooled`: it does not matter which of them answers.
    """

    candidates: tuple[Candidate, ...]
    reason: str
    alias: Alias | None = None
    pooled: bool = False


@dataclass(frozen=True, slots=True)
class _Choice:
    targets: tuple[Target, ...]
    reason: str
    profile: Profile = field(default_factory=Profile)
    is_pool: bool = False
    alias: Alias | None = None


@dataclass(frozen=True, slots=True)
class _Scene:
    """What there is, and how it is just now."""

    catalog: Catalog
    health: Health
    now: float

    def is_down(self, backend: str) -> bool:
        return self.health[backend].readiness(self.now) is Readiness.DOWN

    def is_avoided(self, backend: str) -> bool:
        return self.health[backend].drained or self.is_down(backend)


def plan(wanted: Wanted, catalog: Catalog, health: Health, *, now: float, random: Callable[[], float]) -> Plan:
    """The candidates for a request; raises UnknownModel when no name leads anywhere, NoBackend when nobody can know.

    Ready backends come first in the order of the targets, then those that are down, in the same order: with
    everything down, everything is tried. What is drained comes last of all. A pool (one model on several backends) is
    ordered by fewest requests in flight, ties by `random`.
    """
    scene = _Scene(catalog, health, now)
    choice = _choose(wanted, scene)
    targets = list(choice.targets)
    if choice.is_pool:
        targets.sort(key=lambda target: (health[target.backend].in_flight, random()))
    candidates = [_candidate(target, choice, scene) for target in targets]
    candidates.sort(key=_last_resort)
    return Plan(tuple(candidates), choice.reason, choice.alias, choice.is_pool)


def _candidate(target: Target, choice: _Choice, scene: _Scene) -> Candidate:
    state = scene.health[target.backend]
    note = ""
    readiness = state.readiness(scene.now)
    if canonical_name(target.model) in state.missing:
        readiness, note = Readiness.DOWN, "the backend said it does not have this model"
    elif readiness is Readiness.DOWN:
        note = state.last_error or "down"
    elif readiness is Readiness.TRIAL:
        note = "was down, one request may try it"
    if state.drained:
        note = "drained"
    info = state.model(target.model) if choice.is_pool else None
    return Candidate(target, choice.profile, readiness, note, state.drained, info.loaded if info else None)


def _last_resort(candidate: Candidate) -> tuple[bool, bool]:
    return candidate.drained, candidate.readiness is Readiness.DOWN


def _choose(wanted: Wanted, scene: _Scene) -> _Choice:
    if wanted.model.startswith(TASK_PREFIX):
        return _by_task(wanted.model.removeprefix(TASK_PREFIX), scene)
    if wanted.model == AUTO:
        return _automatic(wanted, scene)
    named = _named(wanted.model, scene)
    if named is not None:
        return named
    if wanted.task:
        return _by_task(wanted.task, scene)
    if scene.catalog.default_model is not None:
        return _default(wanted.model, scene)
    raise _unknown(wanted.model, scene)


def _named(name: str, scene: _Scene) -> _Choice | None:
    """A choice by alias, by `backend/model`, or by a bare model name that some backend has."""
    if alias := scene.catalog.alias(name):
        return _of_alias(alias, f"alias {alias.name}")
    if target := scene.catalog.target(name):
        return _Choice((target,), f"backend {target.backend} by name")
    pool = tuple(
        Target(backend, model.name)
        for backend in scene.catalog.backends
        for model in scene.health[backend].models
        if same_model(model.name, name)
    )
    return _Choice(pool, "model by name", is_pool=True) if pool else None


def _of_alias(alias: Alias, reason: str) -> _Choice:
    return _Choice(alias.targets, reason, alias.profile, alias=alias)


def _by_task(task: str, scene: _Scene) -> _Choice:
    if (name := scene.catalog.tasks.get(task)) and (named := _named(name, scene)):
        return replace(named, reason=f"task {task}")
    if tagged := scene.catalog.tagged(task):
        return _of_alias(_first_usable(tagged, scene), f"task {task} by tag")
    known = sorted({*scene.catalog.tasks, *(tag for alias in scene.catalog.aliases.values() for tag in alias.tags)})
    told = f" Known tasks: {', '.join(known)}." if known else ""
    raise UnknownModel(f"No model is configured for the task '{task[:200]}'.{told}", param="model")


def _first_usable(aliases: Sequence[Alias], scene: _Scene) -> Alias:
    """The first alias with a backend that is neither down nor drained, else the first."""
    for alias in aliases:
        if not all(scene.is_avoided(target.backend) for target in alias.targets):
            return alias
    return aliases[0]


def _automatic(wanted: Wanted, scene: _Scene) -> _Choice:
    capability = "embedding" if wanted.embedding else "vision" if wanted.images else None
    if capability is not None:
        if tagged := scene.catalog.tagged(capability):
            return _of_alias(_first_usable(tagged, scene), f"auto, {capability}")
        if found := _capable(capability, scene):
            return _Choice((found,), f"auto, {capability}")
    if wanted.embedding:
        raise _nothing("No embedding model is configured or was found: tag an alias 'embedding'.", scene)
    if wanted.task:
        return _by_task(wanted.task, scene)
    if scene.catalog.default_model is not None:
        return _default(AUTO, scene)
    if found := _capable("chat", scene):
        return _Choice((found,), "auto, first chat model")
    raise _nothing("No model was found to choose from: set routing.default_model.", scene)


def _capable(capability: str, scene: _Scene) -> Target | None:
    """A model that has the capability: on a backend neither down nor drained before others, loaded before others."""
    found = [
        (scene.is_avoided(backend), model.loaded is not True, Target(backend, model.name))
        for backend in scene.catalog.backends
        for model in scene.health[backend].models
        if model.can(capability) or (capability == "chat" and model.capabilities is None)
    ]
    return min(found, key=lambda entry: entry[:2])[2] if found else None


def _default(asked: str, scene: _Scene) -> _Choice:
    name = scene.catalog.default_model or ""
    named = _named(name, scene)
    if named is None:
        raise _unknown(asked, scene)
    return replace(named, reason=f"default model {name}")


def _unknown(name: str, scene: _Scene) -> RouterError:
    known = sorted({*scene.catalog.aliases, *_discovered(scene)})
    close = get_close_matches(name, known, n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else " GET /v1/models lists what there is."
    return _nothing(f"The model '{name[:200]}' does not exist.{hint}", scene)


def _nothing(complaint: str, scene: _Scene) -> RouterError:
    """Nobody has such a model; but while nobody answers at all, nobody can know."""
    if not _discovered(scene) and all(scene.is_down(backend) for backend in scene.catalog.backends):
        return NoBackend("no model server answers: start one, or name one in the settings", retry_after=RETRY_AFTER_S)
    return UnknownModel(complaint, param="model")


def _discovered(scene: _Scene) -> set[str]:
    return {model.name for backend in scene.catalog.backends for model in scene.health[backend].models}

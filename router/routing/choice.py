"""Which model a name stands for: an alias, a model on a backend, a pool, a task, or whatever fits best. Pure."""

from collections.abc import Sequence
from difflib import get_close_matches

from msgspec import Struct
from msgspec.structs import replace

from router.canonical.models import canonical_name
from router.canonical.request import Profile
from router.errors import NoBackend, RouterError, UnknownModel
from router.routing.catalog import Alias, Catalog, Target
from router.routing.constraints import is_hosted
from router.routing.health import Health, Readiness
from router.routing.wanted import Wanted

AUTO = "auto"
TASK_PREFIX = "task:"
RETRY_AFTER_S = 5.0
NO_PROFILE = Profile()


class Choice(Struct, frozen=True):
    """Targets, and in a few words how they were come by, by which `alias` if by one; in a pool they are equals.

    `last` are only asked while none of the others is up.
    """

    targets: tuple[Target, ...]
    reason: str
    profile: Profile = NO_PROFILE
    is_pool: bool = False
    local_only: bool = False
    alias: Alias | None = None
    last: tuple[Target, ...] = ()


class Scene(Struct, frozen=True):
    """What there is, and how it is just now; `local_only` is whether the caller stays on local backends.

    `user_id` is whose private backends belong to it.
    """

    catalog: Catalog
    health: Health
    now: float
    local_only: bool = False
    user_id: str = ""

    @property
    def backends(self) -> tuple[str, ...]:
        return self.catalog.backends_of(self.user_id)

    def target(self, name: str) -> Target | None:
        return self.catalog.target(name, self.user_id)

    def is_local(self, target: Target) -> bool:
        return not is_hosted(target, self.catalog, self.health)

    def is_down(self, backend: str) -> bool:
        return self.health[backend].readiness(self.now) is Readiness.DOWN

    def is_avoided(self, backend: str) -> bool:
        return self.health[backend].drained or self.is_down(backend)

    def may_use(self, target: Target) -> bool:
        return not self.local_only or self.is_local(target)


def choose(wanted: Wanted, scene: Scene) -> Choice:
    if wanted.model.startswith(TASK_PREFIX):
        return by_task(wanted.model.removeprefix(TASK_PREFIX), scene)
    if wanted.model == AUTO:
        return _automatic(wanted, scene)
    if (found := named(wanted.model, scene)) is not None:
        return found
    if wanted.task:
        return by_task(wanted.task, scene)
    if scene.catalog.default_model is not None and scene.catalog.on_missing == "default":
        return _default(wanted.model, scene)
    raise _unknown(wanted.model, scene)


def named(name: str, scene: Scene) -> Choice | None:
    """A choice by alias, by `backend/model`, or by a bare model name that some backend has."""
    if alias := scene.catalog.alias(name):
        return _of_alias(alias, f"alias {alias.name}")
    if target := scene.target(name):
        return Choice((target,), f"backend {target.backend} by name")
    canonical, health = canonical_name(name), scene.health
    pool = tuple(
        Target(backend, model.name)
        for backend in scene.backends
        if (model := health[backend].by_name.get(canonical)) is not None
    )
    return Choice(pool, "model by name", is_pool=True) if pool else None


def _of_alias(alias: Alias, reason: str) -> Choice:
    return Choice(alias.targets, reason, alias.profile, alias.scored, alias.local_only, alias)


def by_task(task: str, scene: Scene) -> Choice:
    """By what the settings say of a task; raises UnknownModel."""
    if (name := scene.catalog.tasks.get(task)) and (found := named(name, scene)):
        return replace(found, reason=f"task {task}")
    if tagged := scene.catalog.tagged(task):
        return _of_alias(_first_usable(tagged, scene), f"task {task} by tag")
    known = sorted({*scene.catalog.tasks, *(tag for alias in scene.catalog.aliases.values() for tag in alias.tags)})
    told = f" Known tasks: {', '.join(known)}." if known else ""
    raise UnknownModel(f"No model is configured for the task '{task[:200]}'.{told}", param="model")


def _first_usable(aliases: Sequence[Alias], scene: Scene) -> Alias:
    """The first alias with a backend that may be used and is neither down nor drained, else with one that may be used,
    else the first."""
    allowed = [alias for alias in aliases if any(scene.may_use(target) for target in alias.targets)] or aliases
    for alias in allowed:
        if not all(scene.is_avoided(target.backend) for target in alias.targets if scene.may_use(target)):
            return alias
    return allowed[0]


def _automatic(wanted: Wanted, scene: Scene) -> Choice:
    capability = "embedding" if wanted.embedding else "vision" if wanted.images else None
    if capability is not None:
        if tagged := scene.catalog.tagged(capability):
            return _of_alias(_first_usable(tagged, scene), f"auto, {capability}")
        if found := _capable(capability, scene):
            return Choice((found,), f"auto, {capability}")
    if wanted.embedding:
        raise _nothing("No embedding model is configured or was found: tag an alias 'embedding'.", scene)
    if wanted.task:
        return by_task(wanted.task, scene)
    if scene.catalog.default_model is not None:
        return _default(AUTO, scene)
    if found := _capable("chat", scene):
        return Choice((found,), "auto, first chat model")
    raise _nothing("No model was found to choose from: set routing.default_model.", scene)


def _capable(capability: str, scene: Scene) -> Target | None:
    """A model that has the capability: on a backend neither down nor drained before others, loaded before others."""
    found = [
        (scene.is_avoided(backend), model.loaded is not True, Target(backend, model.name))
        for backend in scene.backends
        for model in scene.health[backend].models
        if (model.can(capability) or (capability == "chat" and model.capabilities is None))
        and scene.may_use(Target(backend, model.name))
    ]
    return min(found, key=lambda entry: entry[:2])[2] if found else None


def _default(asked: str, scene: Scene) -> Choice:
    name = scene.catalog.default_model or ""
    found = named(name, scene)
    if found is None:
        raise _unknown(asked, scene)
    return replace(found, reason=f"default model {name}")


def _unknown(name: str, scene: Scene) -> RouterError:
    known = sorted({*scene.catalog.aliases, *_discovered(scene)})
    close = get_close_matches(name, known, n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else " GET /v1/models lists what there is."
    return _nothing(f"The model '{name[:200]}' does not exist.{hint}", scene)


def _nothing(complaint: str, scene: Scene) -> RouterError:
    """Nobody has such a model; but while nobody answers at all, nobody can know."""
    if not _discovered(scene) and all(scene.is_down(backend) for backend in scene.backends):
        return NoBackend("no model server answers: start one, or name one in the settings", retry_after=RETRY_AFTER_S)
    return UnknownModel(complaint, param="model")


def _discovered(scene: Scene) -> set[str]:
    return {model.name for backend in scene.backends for model in scene.health[backend].models}

"""What a caller prefers where no name decides: before what the settings say. Pure."""

from collections.abc import Iterator

from msgspec.structs import replace

from router.canonical.caller import Preferences
from router.errors import NoBackend, UnknownModel
from router.routing.catalog import Target, same_model
from router.routing.choice import AUTO, Choice, Scene, by_task, choose, named
from router.routing.wanted import CODE, Wanted

CODE_WORDS = ("code", "coding", "codestral", "devstral")
CLAUDE = "claude"


def choose_for(wanted: Wanted, scene: Scene) -> Choice:
    """As `choose`; but where no name decides, the caller's preferences come first.

    Claude is its last resort if the caller wants that: only asked when no other answers.
    """
    wishes = wanted.caller.preferences
    if wishes is None or wanted.embedding or _is_named(wanted, scene):
        return choose(wanted, scene)
    last = _claude(scene) if wishes.fallback_to_claude else ()
    try:
        choice = _preferred(wanted, wishes, scene) or choose(wanted, scene)
    except (UnknownModel, NoBackend):
        if not last or not _is_local_down(scene):
            raise
        return Choice(last, "Claude while local is down")
    last = () if choice.local_only else tuple(target for target in last if target not in choice.targets)
    return replace(choice, last=last)


def _is_named(wanted: Wanted, scene: Scene) -> bool:
    if wanted.model == AUTO:
        return False
    if scene.catalog.on_missing != "default" and wanted.model and not wanted.task:
        return True
    return wanted.model.startswith("task:") or named(wanted.model, scene) is not None


def _preferred(wanted: Wanted, wishes: Preferences, scene: Scene) -> Choice | None:
    """None where the preferences say nothing for this request, or lead only to what is down or drained."""
    if wishes.use_local_for_code and wanted.is_code and (found := _local_for_code(wanted, wishes, scene)):
        return found
    if wanted.task:
        return None
    found = _wished_for(wishes, scene)
    if found is None or all(scene.is_avoided(target.backend) for target in found.targets):
        return None
    return found if not wanted.images or any(_sees(target, scene) for target in found.targets) else None


def _wished_for(wishes: Preferences, scene: Scene) -> Choice | None:
    backend, model = wishes.default_backend, wishes.default_model
    if backend and model and (target := scene.target(f"{backend}/{model}")):
        return Choice((target,), f"preferred model {target}")
    if model and (found := named(model, scene)):
        return replace(found, reason=f"preferred model {model}")
    if backend and (target := scene.target(f"{backend}/any")) and (best := _best_on(target.backend, scene)):
        how = ", its selected model" if _is_selected(best, scene) else ""
        return Choice((best,), f"preferred backend {backend}{how}")
    return None


def _best_on(backend: str, scene: Scene) -> Target | None:
    """Its first chat model: the one that was selected before others, then one that is loaded."""
    found = [
        (not _is_selected(target := Target(backend, model.name), scene), model.loaded is not True, target)
        for model in scene.health[backend].models
        if model.can("chat") or model.capabilities is None
    ]
    return min(found, key=lambda each: each[:2])[2] if found else None


def _is_selected(target: Target, scene: Scene) -> bool:
    selected = scene.catalog.selected.get(target.backend)
    return selected is not None and same_model(selected, target.model)


def _local_for_code(wanted: Wanted, wishes: Preferences, scene: Scene) -> Choice | None:
    """What the task is configured for, else what is preferred, else any model for code, else any: if it is local."""
    for found in (_for_task(wanted.task or CODE, scene), _wished_for(wishes, scene)):
        local = () if found is None else tuple(filter(scene.is_local, found.targets))
        if found is not None and local:
            return replace(found, targets=local, reason="local for code")
    chatting = [target for backend in scene.backends if (target := _for_code(backend, scene))]
    chatting.sort(key=lambda target: (scene.is_avoided(target.backend), not _is_for_code(target.model)))
    return Choice((chatting[0],), "local for code") if chatting else None


def _for_task(task: str, scene: Scene) -> Choice | None:
    try:
        return by_task(task, scene)
    except UnknownModel:
        return None


def _for_code(backend: str, scene: Scene) -> Target | None:
    found = [
        model
        for model in scene.health[backend].models
        if (model.can("chat") or model.capabilities is None) and scene.is_local(Target(backend, model.name))
    ]
    best = min(found, key=lambda model: (not _is_for_code(model.name), model.loaded is not True), default=None)
    return None if best is None else Target(backend, best.name)


def _is_for_code(model: str) -> bool:
    return any(word in model.lower() for word in CODE_WORDS)


def _sees(target: Target, scene: Scene) -> bool:
    info = scene.health[target.backend].model(target.model)
    return info is not None and info.can("vision")


def _is_local_down(scene: Scene) -> bool:
    return all(scene.is_avoided(backend) for backend in scene.backends if not scene.catalog.terms_of(backend).hosted)


def _claude(scene: Scene) -> tuple[Target, ...]:
    """The model of Claude that an alias names first, else the first that is listed."""
    return next(((target,) for target in _claudes(scene)), ())


def _claudes(scene: Scene) -> Iterator[Target]:
    terms_of = scene.catalog.terms_of
    for alias in scene.catalog.aliases.values():
        yield from (target for target in alias.targets if terms_of(target.backend).kind == CLAUDE)
    for backend in scene.backends:
        if terms_of(backend).kind == CLAUDE:
            yield from (Target(backend, model.name) for model in scene.health[backend].models)

"""A model that nobody has, and the server that could fetch it for a request. Pure."""

import re
from collections.abc import Collection, Iterator

from msgspec.structs import replace

from router.canonical.models import is_passed_on
from router.routing.catalog import Target
from router.routing.choice import AUTO, TASK_PREFIX, Scene
from router.routing.health import Readiness
from router.routing.plan import Candidate, Plan
from router.routing.wanted import Wanted

PULL = "pull"
REGISTRIES = frozenset({"registry.ollama.ai", "ollama.com", "hf.co", "huggingface.co"})
"""Hosts that a request may have a model fetched from: a server asks whatever host the name begins with."""
MAX_NAME = 300
NOTE = "nobody has it yet: it is pulled first"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(?::\d+)?(?:/[A-Za-z0-9][\w.-]*)*(?::[\w.-]+)?", re.ASCII)


def is_pullable(name: str) -> bool:
    """Whether a request may have a model of that name fetched: from no host that nobody knows, and to run here."""
    if len(name) > MAX_NAME or not _NAME.fullmatch(name) or is_passed_on(name):
        return False
    host, *rest = name.split("/")
    is_host = len(rest) > 1 or (bool(rest) and bool({".", ":"} & set(host)))
    return not is_host or host.lower() in REGISTRIES


def to_pull(wanted: Wanted, scene: Scene, able: Collection[str], *, chosen: Plan | None) -> Target | None:
    """What has to be fetched before a request can be served, and where; None if nothing has to or may be.

    `able` are the backends whose models are managed. `chosen` is the plan, if the name leads anywhere: then its first
    candidate's model, if no candidate has one. A key that may only use some models has nothing fetched.
    """
    if scene.catalog.on_missing != PULL or wanted.caller.models is not None or not wanted.caller.may_pull:
        return None
    if chosen is not None:
        first = chosen.candidates[0].target
        is_absent = all(_is_absent(candidate.target, scene, able) for candidate in chosen.candidates)
        return first if is_absent and is_pullable(first.model) else None
    if wanted.task or wanted.model == AUTO or wanted.model.startswith(TASK_PREFIX) or not is_pullable(wanted.model):
        return None
    places = [Target(backend, wanted.model) for backend in _servers(scene, able)]
    return max(places, key=lambda place: scene.catalog.terms_of(place.backend).weight, default=None)


def unseen(scene: Scene, optional: Collection[str]) -> str | None:
    """A backend that somebody configured and that has not told its models yet: it may have any."""
    places = (name for name in scene.backends if name not in optional and not scene.health[name].drained)
    return next((name for name in places if not _was_seen(name, scene)), None)


def pulled_first(target: Target, chosen: Plan | None) -> Plan:
    """The plan of a request that has to wait for its model."""
    reason = f"{chosen.chosen_by}, to be pulled" if chosen else f"nobody has it, to be pulled on {target.backend}"
    if chosen is None:
        return Plan((Candidate(target, note=NOTE),), reason, reason, pull=target)
    first = replace(chosen.candidates[0], note=NOTE)
    return replace(chosen, candidates=(first, *chosen.candidates[1:]), reason=reason, pull=target)


def _servers(scene: Scene, able: Collection[str]) -> Iterator[str]:
    """Those that answer and may be used, in the order of the settings."""
    for backend in scene.backends:
        is_there = backend in able and not scene.is_avoided(backend) and _was_seen(backend, scene)
        if is_there and scene.may_use(Target(backend, "")):
            yield backend


def _was_seen(backend: str, scene: Scene) -> bool:
    return scene.health[backend].models_at is not None


def _is_absent(target: Target, scene: Scene, able: Collection[str]) -> bool:
    """Whether the backend is known not to have the model."""
    health = scene.health[target.backend]
    is_up = health.readiness(scene.now) is Readiness.READY and not health.drained
    return target.backend in able and is_up and _was_seen(target.backend, scene) and health.model(target.model) is None

"""`/v1/models`: aliases, and what the backends have, as OpenAI's clients or as Anthropic's know it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import Struct

from router.access.principal import Principal
from router.canonical.models import ModelInfo, canonical_name
from router.dialects.anthropic_messages import Entry, Page, render_model, render_models
from router.errors import UnknownModel
from router.relay.fleet import Fleet
from router.routing.catalog import Alias, Target
from router.routing.health import Readiness
from router.surfaces.manner import ANTHROPIC, manner_of


class Details(Struct):
    """What OpenAI's shape has no place for; `size` is bytes, `context_length` tokens.

    `loaded` of an alias is whether any target is. `strategy` is ordered or score, `targets` what that chooses from.
    """

    backend: str
    healthy: bool
    context_length: int | None = None
    capabilities: list[str] | None = None
    size: int | None = None
    loaded: bool | None = None
    targets: list[str] | None = None
    tags: list[str] | None = None
    strategy: str | None = None
    local_only: bool | None = None


class Model(Struct):
    """One entry of the list; `created` is seconds since 1970."""

    id: str
    created: int
    owned_by: str
    turnout: Details
    object: str = "model"


class ModelList(Struct):
    data: list[Model]
    object: str = "list"


def model_routes(fleet: Fleet) -> list[HTTPRouteHandler]:
    """The list, and one model of it by its id, which may hold slashes."""

    @get(["/v1/models", "/models"], include_in_schema=False)
    async def models(request: Request[Any, Any, Any]) -> Response[bytes]:
        known = listed(fleet, whoever_asks(request))
        if manner_of(request.scope) is not ANTHROPIC:
            return _json(ModelList(data=list(known)))
        asked = request.query_params
        page = Page.asked(asked.get("limit", ""), asked.get("after_id", ""), asked.get("before_id", ""))
        return _body(render_models([_entry(model) for model in known], page))

    @get(["/v1/models/{model_id:path}", "/models/{model_id:path}"], include_in_schema=False)
    async def model(request: Request[Any, Any, Any], model_id: FromPath[str]) -> Response[bytes]:
        name = model_id.lstrip("/")
        if (entry := found(fleet, name, whoever_asks(request))) is None:
            raise UnknownModel(f"The model '{name[:200]}' does not exist.", param="model")
        return _json(entry) if manner_of(request.scope) is not ANTHROPIC else _body(render_model(_entry(entry)))

    return [models, model]


def whoever_asks(request: Request[Any, Any, Any]) -> Principal:
    return request.scope["state"]["principal"]


def listed(fleet: Fleet, who: Principal) -> Iterator[Model]:
    """Every alias, then every discovered model once: for the first backend that is healthy, if there is one.

    Only what the caller may use, and of private backends only the caller's own.
    """
    aliases = {canonical_name(alias.name): alias for alias in fleet.catalog.aliases.values()}
    entries = {name: _of_alias(alias, fleet) for name, alias in aliases.items() if _may_name(who, alias)}
    for backend in fleet.catalog.backends_of(who.user_id):
        for model in fleet.health[backend].models:
            if canonical_name(model.name) in aliases or not may_use(who, Target(backend, model.name)):
                continue
            known = entries.get(canonical_name(model.name))
            entry = _of_model(backend, model, fleet, who)
            if known is None or entry.turnout.healthy > known.turnout.healthy:
                entries[canonical_name(model.name)] = entry
    yield from entries.values()


def found(fleet: Fleet, name: str, who: Principal) -> Model | None:
    """The entry of a model by its id, or by `backend/model`, if the caller may use it."""
    wanted = canonical_name(name)
    entry = next((model for model in listed(fleet, who) if canonical_name(model.id) == wanted), None)
    target = None if entry else fleet.catalog.target(name, who.user_id)
    if target is None or not may_use(who, target):
        return entry
    info = fleet.health[target.backend].model(target.model)
    return _of_model(target.backend, info, fleet, who) if info else None


def may_use(who: Principal, target: Target) -> bool:
    """As planning would have it."""
    return who.may_use((str(target), target.model))


def _may_name(who: Principal, alias: Alias) -> bool:
    return who.may_use((alias.name,)) or any(may_use(who, target) for target in alias.targets)


def _of_alias(alias: Alias, fleet: Fleet) -> Model:
    first = next((target for target in alias.targets if is_healthy(fleet, target)), alias.targets[0])
    info = fleet.health[first.backend].model(first.model) or ModelInfo(name=first.model)
    details = _details(first.backend, info, healthy=is_healthy(fleet, first))
    details.context_length = alias.profile.context_length or info.context_length
    details.targets = [str(target) for target in alias.targets]
    details.tags = sorted(alias.tags) or None
    details.strategy = "score" if alias.scored else "ordered"
    details.local_only = alias.local_only or None
    told = [_is_loaded(target, fleet) for target in alias.targets]
    details.loaded = any(told) if any(loaded is not None for loaded in told) else None
    return Model(id=alias.name, created=info.created, owned_by="turnout", turnout=details)


def _of_model(backend: str, model: ModelInfo, fleet: Fleet, who: Principal) -> Model:
    healthy = is_healthy(fleet, Target(backend, model.name))
    details = _details(backend, model, healthy=healthy)
    details.loaded = _is_loaded(Target(backend, model.name), fleet)
    holders = (name for name in fleet.catalog.backends_of(who.user_id) if fleet.health[name].model(model.name))
    pool = [str(target) for name in holders if may_use(who, target := Target(name, model.name))]
    if len(pool) > 1:
        details.strategy, details.targets = "score", pool
    return Model(id=model.name, created=model.created, owned_by=model.owned_by or backend, turnout=details)


def _details(backend: str, info: ModelInfo, *, healthy: bool) -> Details:
    return Details(
        backend=backend,
        healthy=healthy,
        context_length=info.context_length,
        capabilities=None if info.capabilities is None else sorted(info.capabilities),
        size=info.size,
    )


def _is_loaded(target: Target, fleet: Fleet) -> bool | None:
    now = asyncio.get_running_loop().time()
    return fleet.health[target.backend].has_loaded(canonical_name(target.model), now)


def is_healthy(fleet: Fleet, target: Target) -> bool:
    """Whether a request for the target would be sent without a second thought."""
    health = fleet.health[target.backend]
    now = asyncio.get_running_loop().time()
    return health.readiness(now) is not Readiness.DOWN and canonical_name(target.model) not in health.missing


def _entry(model: Model) -> Entry:
    return Entry(model.id, model.created, model.turnout.context_length)


def _json(body: Any) -> Response[bytes]:
    return _body(msgspec.json.encode(body))


def _body(body: bytes) -> Response[bytes]:
    return Response(body, media_type="application/json")

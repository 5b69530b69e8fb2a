"""`/`, `/api/version`, `/api/tags`, `/api/show` and `/api/ps`."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

from litestar import MediaType, Request, Response, post, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from router.access.principal import Principal
from router.canonical.models import ModelInfo, canonical_name
from router.dialects import ollama
from router.errors import RouterError, UnknownModel
from router.relay.fleet import Fleet
from router.routing.catalog import Target
from router.surfaces.body import read_body
from router.surfaces.models import Model, found, listed, whoever_asks

GREETING = "Ollama is running"
FOR_EVER = timedelta(days=365 * 100)
SHOW_TIMEOUT_S = 5.0
EMBEDDING = "embedding"
_LOOK = [HttpMethod.GET, HttpMethod.HEAD]


def library_routes(fleet: Fleet, *, max_body_bytes: int) -> list[HTTPRouteHandler]:
    """What Ollama's clients look at before they ask: who is there, and which models."""

    @route("/", http_method=_LOOK, include_in_schema=False)
    async def root() -> Response[str]:
        return Response(GREETING, media_type=MediaType.TEXT)

    @route("/api/version", http_method=_LOOK, include_in_schema=False)
    async def version() -> Response[bytes]:
        return _json(ollama.render_version())

    @route("/api/tags", http_method=_LOOK, include_in_schema=False)
    async def tags(request: Request[Any, Any, Any]) -> Response[bytes]:
        return _json(ollama.render_tags([_entry(model, fleet) for model in listed(fleet, whoever_asks(request))]))

    @route("/api/ps", http_method=_LOOK, include_in_schema=False)
    async def loaded(request: Request[Any, Any, Any]) -> Response[bytes]:
        return _json(ollama.render_loaded(list(_loaded(fleet, whoever_asks(request)))))

    @post("/api/show", status_code=200, include_in_schema=False)
    async def show(request: Request[Any, Any, Any]) -> Response[bytes]:
        name, verbose = ollama.parse_name(await read_body(request.scope, request.receive, max_body_bytes))
        return _json(await _shown(name, fleet, whoever_asks(request), verbose=verbose))

    return [root, version, tags, loaded, show]


async def _shown(name: str, fleet: Fleet, who: Principal, *, verbose: bool) -> bytes:
    """What the backend itself says of a model, or else what is known of it here."""
    if (model := found(fleet, name, who)) is None:
        raise UnknownModel(f"model '{name[:200]}' not found", param="model")
    target = _target(model, fleet)
    try:
        told = await fleet.adapters[target.backend].describe(target.model, verbose=verbose, timeout_s=SHOW_TIMEOUT_S)
    except RouterError:
        told = None
    if told is not None and ollama.is_shown(told):
        return told
    return ollama.render_shown(_entry(model, fleet), window=model.turnout.context_length)


def _loaded(fleet: Fleet, who: Principal) -> Iterator[ollama.Entry]:
    now = datetime.now(UTC)
    for model in listed(fleet, who):
        if model.turnout.loaded:
            entry = _entry(model, fleet)
            left = entry.info.loaded_s
            gone = now + (FOR_EVER if left is None else timedelta(seconds=left))
            yield ollama.Entry(name=entry.name, info=entry.info, family=entry.family, expires_at=ollama.timestamp(gone))


def _target(model: Model, fleet: Fleet) -> Target:
    """Where a model is that would be asked first, if it is up."""
    details = model.turnout
    named = [fleet.catalog.target(target) for target in details.targets or ()]
    here = next((target for target in named if target is not None and target.backend == details.backend), None)
    return here or Target(details.backend, model.id)


def _entry(model: Model, fleet: Fleet) -> ollama.Entry:
    target, details = _target(model, fleet), model.turnout
    known = fleet.health[target.backend].model(target.model)
    info = ModelInfo(
        name=target.model,
        capabilities=_capabilities(model),
        context_length=details.context_length,
        trained_length=known.trained_length if known else None,
        size=details.size,
        loaded=details.loaded,
        loaded_s=_stays_s(target, fleet),
        vram=known.vram if known else None,
        created=model.created,
    )
    made = datetime.fromtimestamp(model.created, UTC)
    return ollama.Entry(
        name=model.id, info=info, family=fleet.adapters[target.backend].kind, modified_at=ollama.timestamp(made)
    )


def _capabilities(model: Model) -> frozenset[str] | None:
    """Those that the backend tells; but what a person has tagged as an embedder is one, and many cannot say that."""
    details = model.turnout
    if EMBEDDING in (details.tags or ()):
        return frozenset({EMBEDDING})
    return None if details.capabilities is None else frozenset(details.capabilities)


def _stays_s(target: Target, fleet: Fleet) -> float | None:
    """For how long a model stays loaded, as was last heard; None for ever, or for what nobody knows."""
    until = (fleet.health[target.backend].resident or {}).get(canonical_name(target.model), inf)
    return None if until == inf else max(0.0, until - asyncio.get_running_loop().time())


def _json(body: bytes) -> Response[bytes]:
    return Response(body, media_type=MediaType.JSON)

"""`/v1/router/queue`, and taking a backend out of service and back: `/v1/router/backends/{name}/drain`, `/resume`."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import Struct

from router.access.principal import ANYBODY, Principal
from router.admission.gate import Gate
from router.admission.view import LaneView, Waiting, view
from router.errors import UnknownBackend
from router.relay.fleet import Fleet
from router.surfaces.door import Door
from router.surfaces.guard import peer_of

logger = logging.getLogger(__name__)


class WaitingReport(Struct):
    """A request in line. `id` is its `x-request-id`, `user` a key's name or the beginning of its digest."""

    id: str
    source: str
    user: str
    priority: str = msgspec.field(name="class")
    alias: str
    model: str
    backends: list[str]
    waited_s: float
    position: int
    eta_s: float


class BackendReport(Struct):
    """One backend of a lane; `max_parallel` is for each of its models if `per_model`."""

    name: str
    in_flight: int
    max_parallel: int | None
    per_model: bool
    loaded: list[str]
    drained: bool


class LaneReport(Struct):
    """One line; `max_parallel` is for all of its backends together."""

    name: str
    waiting: int
    in_flight: int
    max_parallel: int | None
    max_depth: int
    backends: list[BackendReport]
    entries: list[WaitingReport]


class QueueReport(Struct):
    waiting: int
    in_flight: int
    lanes: list[LaneReport]


class DrainReport(Struct):
    """What a drain or resume has come to: empty once `in_flight` is 0."""

    backend: str
    drained: bool
    in_flight: int
    waiting: int


def queue_routes(fleet: Fleet, gate: Gate, door: Door) -> list[HTTPRouteHandler]:
    """Who waits for what, and which backends take nothing new."""

    @get("/v1/router/queue", include_in_schema=False)
    async def queue(request: Request[Any, Any, Any]) -> Response[bytes]:
        now, seen = asyncio.get_running_loop().time(), _seen_by(request, fleet)
        lanes = [
            _lane(view(track, gate.waiting, now), fleet, seen)
            for track in gate.tracks
            if _is_shown(fleet, track.spec.backends, seen)
        ]
        stays = {id(stay) for stay in gate.waiting.values() if any(claim.backend in seen for claim in stay.claims)}
        return _json(QueueReport(len(stays), sum(lane.in_flight for lane in lanes), lanes))

    @post("/v1/router/backends/{name:str}/drain", status_code=200, include_in_schema=False)
    async def drain(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        require_steering(request, door)
        _known(_seen_by(request, fleet), name)
        if not fleet.health[name].drained:
            logger.info("backend %s is drained: nothing new is sent there until it is resumed", name)
        fleet.health.drain(name)
        gate.drain(name)
        return _drained(fleet, gate, name)

    @post("/v1/router/backends/{name:str}/resume", status_code=200, include_in_schema=False)
    async def resume(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        require_steering(request, door)
        _known(_seen_by(request, fleet), name)
        if fleet.health[name].drained:
            logger.info("backend %s is resumed", name)
        fleet.health.resume(name)
        gate.resume(name)
        return _drained(fleet, gate, name)

    return [queue, drain, resume]


def require_steering(request: Request[Any, Any, Any], door: Door) -> None:
    """Raises, where keys are asked, Unauthorized, ScopeMissing or AddressNotAllowed for whoever may not administer."""
    principal: Principal = request.scope["state"]["principal"]
    if principal is not ANYBODY:
        door.require_admin(principal, list(request.scope["headers"]), peer_of(request.scope))


def _seen_by(request: Request[Any, Any, Any], fleet: Fleet) -> Sequence[str]:
    """Everybody's backends and the caller's own."""
    principal: Principal = request.scope["state"]["principal"]
    return fleet.catalog.backends_of(principal.user_id)


def _known(seen: Sequence[str], name: str) -> None:
    if name not in seen:
        known = ", ".join(seen) or "none"
        raise UnknownBackend(f"there is no backend '{name[:200]}'; backends: {known}", param="name")


def _is_shown(fleet: Fleet, backends: Iterable[str], seen: Sequence[str]) -> bool:
    return any(
        name in seen and (name not in fleet.optional or fleet.health[name].last_seen is not None) for name in backends
    )


def _drained(fleet: Fleet, gate: Gate, name: str) -> Response[bytes]:
    return _json(DrainReport(name, fleet.health[name].drained, gate.in_flight(name), gate.waiting_for(name)))


def _lane(lane: LaneView, fleet: Fleet, seen: Sequence[str]) -> LaneReport:
    return LaneReport(
        name=lane.name,
        waiting=len(lane.waiting),
        in_flight=sum(lane.in_flight.values()),
        max_parallel=lane.limits.max_parallel,
        max_depth=lane.limits.max_depth,
        backends=[_backend(name, lane, fleet) for name in lane.in_flight],
        entries=[_entry(waiting, seen) for waiting in lane.waiting],
    )


def _backend(name: str, lane: LaneView, fleet: Fleet) -> BackendReport:
    limits = lane.limits
    per_model = name in limits.per_model
    return BackendReport(
        name=name,
        in_flight=lane.in_flight[name],
        max_parallel=(limits.per_model if per_model else limits.per_backend).get(name),
        per_model=per_model,
        loaded=sorted(lane.loaded[name]) if name in lane.loaded else _loaded(fleet, name),
        drained=name in lane.drained,
    )


def _loaded(fleet: Fleet, name: str) -> list[str]:
    return [model.name for model in fleet.health[name].models if model.loaded]


def _entry(waiting: Waiting, seen: Sequence[str]) -> WaitingReport:
    return WaitingReport(
        id=waiting.id,
        source=waiting.source,
        user=waiting.user,
        priority=waiting.priority.name.lower(),
        alias=waiting.alias,
        model=waiting.model,
        backends=[name for name in waiting.backends if name in seen],
        waited_s=round(waiting.waited_s, 1),
        position=waiting.position,
        eta_s=round(waiting.eta_s, 1),
    )


def _json(body: Struct) -> Response[bytes]:
    return Response(msgspec.json.encode(body), media_type="application/json")

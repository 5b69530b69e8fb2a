"""`/health`, `/health/live`, `/health/ready`."""

import asyncio
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from router.live import Live
from router.relay.fleet import Fleet
from router.routing.health import BackendHealth, Readiness, State
from router.storage.live import Storage
from router.storage.state import StorageState
from router.surfaces.drain import Drain


class BackendReport(Struct):
    """One backend; `last_look_s` is how long ago it was looked at, `latency_ms` how long that took.

    `drained`: nothing new is sent there until somebody resumes it, whatever its state.
    """

    name: str
    kind: str
    state: str
    models: list[str]
    in_flight: int
    drained: bool
    last_look_s: float | None
    latency_ms: float | None
    version: str | None
    last_error: str | None


class StorageReport(Struct):
    """The database; `last_error` says what is wrong with it, `lost` is usage that could not be written."""

    state: str
    last_error: str | None
    waiting: int
    lost: int


class ConfigReport(Struct):
    """The settings: `problems` are why a changed file is not used, `needs_restart` what it changes only at a start."""

    status: str
    problems: list[str]
    needs_restart: list[str]
    applied: int
    refused: int
    in_force_since: int


class Report(Struct):
    status: str
    backends: list[BackendReport]
    storage: StorageReport | None
    config: ConfigReport


def health_routes(fleet: Fleet, drain: Drain, storage: Storage | None, *, in_force: Live) -> list[HTTPRouteHandler]:
    """Whether the process lives, whether it can serve, and how every backend is."""

    @get("/health/live", include_in_schema=False)
    async def live() -> Response[bytes]:
        return Response(b'{"status":"ok"}', media_type="application/json")

    @get("/health/ready", include_in_schema=False)
    async def ready() -> Response[bytes]:
        now = asyncio.get_running_loop().time()
        if drain.draining:
            return _status("draining", 503)
        serving = any(_serves(health, now) for health in fleet.health)
        return _status("ok", 200) if serving else _status("no backend can serve", 503)

    @get("/health", include_in_schema=False)
    async def health(request: Request[Any, Any, Any]) -> Response[bytes]:
        now = asyncio.get_running_loop().time()
        stale_s, who = in_force.settings.health.stale_s, request.scope["state"]["principal"]
        shown = (state for state in fleet.health if _is_shown(fleet, state, who.user_id))
        backends = [_report(fleet, state, now, stale_s) for state in shown]
        kept = storage and _storage_report(storage.state)
        is_well = (storage is None or storage.state.ok) and all(
            backend.state in {"up", "unknown"} for backend in backends if backend.name not in fleet.catalog.owners
        )
        report = Report("ok" if is_well else "degraded", backends, kept, _config(in_force))
        return Response(msgspec.json.encode(report), media_type="application/json", status_code=200 if is_well else 503)

    return [live, ready, health]


def _storage_report(state: StorageState) -> StorageReport:
    return StorageReport("up" if state.ok else "degraded", state.reason or None, state.waiting, state.lost)


def _serves(health: BackendHealth, now: float) -> bool:
    known = health.state is not State.UNKNOWN or health.is_trusted
    return known and not health.drained and health.readiness(now) is not Readiness.DOWN


def _is_shown(fleet: Fleet, health: BackendHealth, user_id: str) -> bool:
    """A place that is only looked at in case something starts there is no fault while it is empty."""
    is_there = health.name not in fleet.optional or health.last_seen is not None
    return is_there and fleet.catalog.may_see(health.name, user_id)


def _report(fleet: Fleet, health: BackendHealth, now: float, stale_s: float) -> BackendReport:
    age = None if health.last_look is None else now - health.last_look
    stale = age is not None and age > stale_s and health.state is State.UP
    adapter = fleet.adapters.get(health.name)
    return BackendReport(
        name=health.name,
        kind=adapter.kind if adapter else "",
        state="stale" if stale else health.state.value,
        models=[model.name for model in health.models],
        in_flight=health.in_flight,
        drained=health.drained,
        last_look_s=None if age is None else round(age, 1),
        latency_ms=None if health.latency_s is None else round(health.latency_s * 1000, 1),
        version=health.version,
        last_error=health.last_error,
    )


def _config(live: Live) -> ConfigReport:
    """A refused file is no reason to be restarted, which would make it worse: so it does not change the status."""
    return ConfigReport(
        status="refused" if live.problems else "ok",
        problems=list(live.problems),
        needs_restart=list(live.waiting),
        applied=live.applied,
        refused=live.refused,
        in_force_since=int(live.since),
    )


def _status(status: str, code: int) -> Response[bytes]:
    return Response(msgspec.json.encode({"status": status}), media_type="application/json", status_code=code)

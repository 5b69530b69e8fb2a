"""The composition root: settings to objects to Litestar. The only module that builds things."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Protocol

from litestar import Litestar
from litestar.types import ASGIApp
from msgspec import structs

from adapters import discover
from router.admission.gate import Gate
from router.backends.changes import Changes
from router.backends.inventory import Inventory
from router.backends.library import Library
from router.backends.looks import Looks
from router.canonical.adapter import ALL_MODELS, Adapter, BackendConfig, Timeouts
from router.catalogs import catalog_of
from router.config_watch import Watch
from router.keeping import Keeping, keeping_of
from router.lanes import lanes_of, tell
from router.launcher import Launcher, at_rest, launch_for
from router.live import Live
from router.pulls.asked import Asked
from router.pulls.notes import Notes
from router.pulls.pulls import Pulls
from router.relay.attempts import Tracing
from router.relay.fleet import Fleet
from router.relay.relay import Relay
from router.reload import Parts, Reload
from router.routing.health import Health
from router.routing.prober import Prober
from router.settings import Settings
from router.settings.backends import BackendSettings
from router.site import Site
from router.storage.live import Storage
from router.surfaces.admin.api import Api, Models
from router.surfaces.admin.backend_reports import BackendDesk
from router.surfaces.answering import Answering
from router.surfaces.capture import Capture, CaptureBook
from router.surfaces.conversations import Conversations
from router.surfaces.direct import Direct
from router.surfaces.drain import Drain
from router.surfaces.endpoints import endpoints
from router.surfaces.guard import Guard, RequestIds
from router.surfaces.metrics import Counted, labels_from
from router.surfaces.recording import Recorder
from router.usage.arrears import Arrears
from router.usage.calibration_file import CalibrationFile
from router.usage.lessons import Lessons
from router.usage.metrics import Metrics
from router.usage.queue_metrics import QueueMetrics
from router.usage.record import RequestRecord, Sink
from router.usage.request_log import log_request
from router.usage.tokenizer import Tokenizer

CLOSE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Router:
    """Everything that a running router consists of; `app` is what a server serves."""

    app: ASGIApp
    fleet: Fleet
    prober: Prober
    drain: Drain
    tokenizer: Tokenizer
    arrears: Arrears
    reload: Reload
    watch: Watch | None
    storage: Storage | None
    pulls: Pulls


class Telemetry(Tracing, Protocol):
    """What makes traces of requests and their attempts."""

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """The same app with every request traced."""
        ...

    def record(self, record: RequestRecord) -> None:
        """Takes note of what a traced request came to."""
        ...


def build(
    settings: Settings,
    *,
    optional: frozenset[str] = frozenset(),
    sinks: Sequence[Sink] = (),
    telemetry: Telemetry | None = None,
    keeping: Keeping | None = None,
) -> Router:
    """Builds a router. `optional` names backends that are only looked for, and are no fault while absent.

    `sinks` take the record of every request, besides those that the settings ask for. `telemetry` stays the caller's.
    `keeping` is what the settings ask for, unless it is given.
    """
    kept = keeping or keeping_of(settings)
    storage, fleet = kept.storage, build_fleet(settings, optional=optional)
    drain, tokenizer = Drain(settings.server.drain_s), Tokenizer()
    learned = CalibrationFile(settings.server.data_folder)
    lessons = Lessons(learned.load(), tokenizer)
    counted = Counted(Metrics(labels_from(fleet)), QueueMetrics(), lessons.calibration)
    gate = Gate(lanes_of(settings, fleet), max_wait_s=settings.queue.max_wait, watcher=counted.queue)
    fleet.experience = replace(fleet.experience, waiting=gate.waiting_for)
    prober = Prober(fleet.adapters, fleet.health, settings.health, optional=optional, looked=partial(tell, gate))
    relay = Relay(fleet, gate, tokenizer, lessons=lessons, tracing=telemetry)
    arrears, traced = Arrears(tokenizer), (telemetry.record,) if telemetry else ()
    told = (counted.requests.record, fleet.learn, *_sinks(settings, storage), *sinks)
    answering = Answering(relay, drain, keepalive_s=settings.server.keepalive_s)
    conversations = Conversations(max_bytes=settings.server.kept_responses_bytes)
    posted = endpoints(answering, conversations, max_body_bytes=settings.server.max_body_bytes)
    parts = Parts(fleet, gate, prober, kept.locks, Launcher(settings, fleet, gate, prober=prober))
    reload, watch = _reloading(parts, settings, kept, optional=optional)
    pulls = _pulls(settings, fleet, prober)
    fleet.puller = Asked(pulls)
    at_work = (_running(parts.launcher), _lifespan(fleet, prober, tokenizer, arrears), _learning(lessons, learned))
    captured = CaptureBook(partial(_secrets, fleet, reload.live)) if settings.server.capture else None
    library = Library(fleet, prober.look, pulls, processes=parts.launcher.supervisor)
    models = Models(library, drain, settings.server.keepalive_s)
    api = Api(fleet, kept.door, storage, captured, _desk(kept, parts, reload, watch=watch, optional=optional), models)
    site = Site(parts, relay, drain, counted, reload.live, conversations, posted)
    app = site.app(settings, api, lifespan=(_keeping(storage, prober), *at_work, reload.running, _pulling(pulls)))
    served = Direct(app, posted, guard=partial(Guard, door=kept.door))
    served = RequestIds(Capture(served, captured) if captured else served, Recorder(told, arrears, at_once=traced))
    app = telemetry.wrap(served) if telemetry else served
    return Router(app, fleet, prober, drain, tokenizer, arrears, reload, watch, storage, pulls)


def _reloading(
    parts: Parts, settings: Settings, kept: Keeping, *, optional: frozenset[str]
) -> tuple[Reload, Watch | None]:
    """What takes over other settings and the database's backends, and what watches the file if there is one."""
    reload = Reload(parts, Live(settings), partial(_rebuilt, parts.fleet, optional=optional))
    kept.roster.taker = reload.add
    if kept.source is None:
        return reload, None
    reload.started_with(kept.source.written)
    return reload, Watch(kept.source, reload)


def _desk(kept: Keeping, parts: Parts, reload: Reload, *, watch: Watch | None, optional: frozenset[str]) -> BackendDesk:
    inventory = Inventory(reload, kept.roster, found=optional)
    changes = Changes(inventory, kept.storage, reload, watch=watch)
    looks = Looks(parts.fleet, parts.prober, kept.storage, partial(_adapter, discover()))
    return BackendDesk(inventory, changes, looks, parts.fleet, reload.live)


def _secrets(fleet: Fleet, live: Live) -> Iterator[str]:
    """What must not be seen in what is captured."""
    for key in live.settings.auth.api_keys:
        yield key.key.get_secret_value()
    for adapter in (*fleet.adapters.values(), *fleet.leaving.values()):
        yield from (adapter.config.api_key or "", *adapter.config.headers.values())


def _sinks(settings: Settings, storage: Storage | None) -> Iterator[Sink]:
    if settings.server.log_requests:
        yield log_request
    if storage is not None:
        yield storage.usage.record


def _rebuilt(fleet: Fleet, settings: Settings, owners: Mapping[str, str], *, optional: frozenset[str]) -> Fleet:
    return build_fleet(settings, optional=optional, known=fleet.adapters, owners=owners)


def build_fleet(
    settings: Settings,
    *,
    optional: frozenset[str] = frozenset(),
    known: Mapping[str, Adapter] = MappingProxyType({}),
    owners: Mapping[str, str] = MappingProxyType({}),
) -> Fleet:
    """The backends, aliases and adapters that the settings describe; those `known` are kept where they are the same.

    `owners` are those of the private ones.
    """
    enabled = {name: backend for name, backend in settings.backends.items() if backend.enabled}
    kinds = discover()
    return Fleet(
        catalog=catalog_of(settings, enabled, owners),
        health=Health(enabled),
        adapters={name: _adapter(kinds, name, backend, known=known.get(name)) for name, backend in enabled.items()},
        totals={name: backend.timeouts.total for name, backend in enabled.items()},
        optional=optional,
    )


def _adapter(
    kinds: dict[str, type[Adapter]], name: str, backend: BackendSettings, *, known: Adapter | None = None
) -> Adapter:
    times, launch = backend.timeouts, launch_for(name, backend)
    key = backend.api_key.get_secret_value() if backend.api_key else None
    config = BackendConfig(
        name=name,
        url=backend.url,
        api_key=launch.api_key if launch else key,
        headers={key: value.get_secret_value() for key, value in backend.headers.items()},
        models=backend.models,
        timeouts=Timeouts(connect=times.connect, first_token=times.first_token, idle=times.idle, load=times.load),
        embedding_batch=backend.embedding_batch,
        responses=backend.has_responses,
        process=launch.process if launch else "",
        whole_only=frozenset(backend.whole_only if backend.stream else (ALL_MODELS,)),
        stream_only=frozenset(backend.stream_only),
    )
    if known is not None and known.kind == backend.type and _as_written(known.config, config) == config:
        return known
    made = kinds[backend.type](config)
    if launch is not None:
        at_rest(made, launch)
    return made


def _as_written(known: BackendConfig, written: BackendConfig) -> BackendConfig:
    """Where a process of ours is says nothing about whether it is the same."""
    return structs.replace(known, url=written.url) if known.process else known


def _keeping(storage: Storage | None, prober: Prober):  # noqa: ANN202
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        async with storage.at_work(prober.looked_at_all) if storage else nullcontext():
            yield

    return lifespan


def _running(launcher: Launcher):  # noqa: ANN202
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        async with launcher.supervisor.running():
            yield

    return lifespan


def _pulls(settings: Settings, fleet: Fleet, prober: Prober) -> Pulls:
    def way(name: str) -> Adapter | None:
        return fleet.adapters.get(name)

    folder = settings.server.data_folder
    return Pulls(way, prober.look, Notes(folder / "pulls" if folder else None))


def _pulling(pulls: Pulls):  # noqa: ANN202
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        async with pulls.running():
            yield

    return lifespan


def _lifespan(fleet: Fleet, prober: Prober, tokenizer: Tokenizer, arrears: Arrears):  # noqa: ANN202
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        probing = asyncio.create_task(prober.run(), name="prober")
        try:
            yield
        finally:
            probing.cancel()
            try:
                await asyncio.wait((probing,), timeout=CLOSE_TIMEOUT_S)
                await arrears.aclose()
                await tokenizer.aclose()
            finally:
                await close(fleet)

    return lifespan


def _learning(lessons: Lessons, learned: CalibrationFile):  # noqa: ANN202
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        running = (
            asyncio.create_task(lessons.run(), name="lessons"),
            asyncio.create_task(learned.keep(lessons.calibration), name="calibration"),
        )
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=CLOSE_TIMEOUT_S)
            await asyncio.to_thread(learned.save, lessons.calibration)

    return lifespan


async def close(fleet: Fleet) -> None:
    """Closes every connection to every backend, within a time limit."""
    async with asyncio.timeout(CLOSE_TIMEOUT_S):
        for adapter in fleet.adapters.values():
            await adapter.aclose()

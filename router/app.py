"""The composition root: settings to objects to Litestar. The only module that builds things."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Protocol

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.middleware import DefineMiddleware
from litestar.types import ASGIApp, ControllerRouterHandler

from adapters import discover
from router.admission.gate import Gate
from router.backends.changes import Changes
from router.backends.inventory import Inventory
from router.backends.looks import Looks
from router.canonical.adapter import ALL_MODELS, Adapter, BackendConfig, Timeouts
from router.canonical.caller import Priority
from router.canonical.request import Profile
from router.config_watch import Watch
from router.keeping import Keeping, keeping_of
from router.lanes import lanes_of, tell
from router.live import Live
from router.relay.attempts import Tracing
from router.relay.fleet import Fleet
from router.relay.relay import Relay
from router.reload import Parts, Reload
from router.routing.catalog import Alias, Catalog, Target, Terms
from router.routing.health import Health
from router.routing.prober import Prober
from router.settings import Settings
from router.settings.backends import BackendSettings
from router.settings.models import AliasSettings
from router.storage.live import Storage
from router.surfaces.admin.api import Api
from router.surfaces.admin.backend_reports import BackendDesk
from router.surfaces.admin.docs import openapi
from router.surfaces.admin.routes import api_routes
from router.surfaces.answering import Answering
from router.surfaces.capture import Capture, CaptureBook
from router.surfaces.conversations import Conversations
from router.surfaces.direct import Direct, routes
from router.surfaces.drain import Drain
from router.surfaces.endpoints import endpoints
from router.surfaces.explain import explain_routes
from router.surfaces.guard import EXCEPTION_HANDLERS, Guard, RequestIds
from router.surfaces.health import health_routes
from router.surfaces.metrics import Counted, labels_from, metrics_routes
from router.surfaces.mirror.library import library_routes
from router.surfaces.mirror.manage import management_routes
from router.surfaces.models import model_routes
from router.surfaces.queue import queue_routes
from router.surfaces.recording import Recorder
from router.surfaces.responses import kept_routes
from router.usage.arrears import Arrears
from router.usage.calibration_file import CalibrationFile
from router.usage.lessons import Lessons
from router.usage.metrics import Metrics
from router.usage.queue_metrics import QueueMetrics
from router.usage.record import RequestRecord, Sink
from router.usage.request_log import log_request
from router.usage.tokenizer import Tokenizer

CLOSE_TIMEOUT_S = 5.0
USUAL_PARALLEL = 32
Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]
EXPOSED_HEADERS = ["x-request-id", "request-id", "retry-after", "x-turnout-backend", "x-turnout-model",
                   "x-turnout-attempts", "x-turnout-reason", "x-turnout-dropped", "x-turnout-warning",
                   "x-turnout-usage", "x-turnout-context", "x-ratelimit-limit-requests",
                   "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "x-ratelimit-limit-tokens",
                   "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]  # fmt: skip


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
    kept, limit = keeping or keeping_of(settings), settings.server.max_body_bytes
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
    posted = endpoints(answering, conversations, max_body_bytes=limit)
    parts = Parts(fleet, gate, prober, kept.locks)
    reload, watch = _reloading(parts, settings, kept, optional=optional)
    handlers = [
        *routes(posted),
        *kept_routes(conversations),
        *model_routes(fleet),
        *library_routes(fleet, max_body_bytes=limit),
        *management_routes(fleet, drain, prober.look, door=kept.door, max_body_bytes=limit),
        *explain_routes(relay, max_body_bytes=limit),
        *health_routes(fleet, drain, storage, in_force=reload.live),
        *queue_routes(fleet, gate, kept.door),
        api_routes(),
        *metrics_routes(counted, fleet, gate=gate, drain=drain, storage=storage, live=reload.live),
    ]
    at_work = (_lifespan(fleet, prober, tokenizer, arrears), _learning(lessons, learned), reload.running)
    captured = CaptureBook(partial(_secrets, fleet, reload.live)) if settings.server.capture else None
    api = Api(fleet, kept.door, storage, captured, _desk(kept, parts, reload, watch=watch, optional=optional))
    app = _litestar(settings, handlers, api=api, lifespan=(_keeping(storage, prober), *at_work))
    served = Direct(app, posted, guard=partial(Guard, door=kept.door))
    served = RequestIds(Capture(served, captured) if captured else served, Recorder(told, arrears, at_once=traced))
    app = telemetry.wrap(served) if telemetry else served
    return Router(app, fleet, prober, drain, tokenizer, arrears, reload, watch, storage)


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


def _litestar(
    settings: Settings, routes: Sequence[ControllerRouterHandler], *, api: Api, lifespan: Sequence[Lifespan]
) -> Litestar:
    return Litestar(
        route_handlers=routes,
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[DefineMiddleware(Guard, door=api.door)],
        cors_config=_cors(settings),
        lifespan=lifespan,
        openapi_config=openapi(),
        state=State({"api": api}),
        logging_config=None,
    )


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
        catalog=_catalog(settings, enabled, owners),
        health=Health(enabled),
        adapters={name: _adapter(kinds, name, backend, known=known.get(name)) for name, backend in enabled.items()},
        totals={name: backend.timeouts.total for name, backend in enabled.items()},
        optional=optional,
    )


def _adapter(
    kinds: dict[str, type[Adapter]], name: str, backend: BackendSettings, *, known: Adapter | None = None
) -> Adapter:
    times = backend.timeouts
    config = BackendConfig(
        name=name,
        url=backend.url,
        api_key=backend.api_key.get_secret_value() if backend.api_key else None,
        headers={key: value.get_secret_value() for key, value in backend.headers.items()},
        models=backend.models,
        timeouts=Timeouts(connect=times.connect, first_token=times.first_token, idle=times.idle, load=times.load),
        embedding_batch=backend.embedding_batch,
        responses=backend.has_responses,
        whole_only=frozenset(backend.whole_only if backend.stream else (ALL_MODELS,)),
        stream_only=frozenset(backend.stream_only),
    )
    is_same = known is not None and known.kind == backend.type and known.config == config
    return known if known is not None and is_same else kinds[backend.type](config)


def _catalog(settings: Settings, enabled: dict[str, BackendSettings], owners: Mapping[str, str]) -> Catalog:
    aliases = (_alias(name, alias, enabled) for name, alias in settings.models.items())
    return Catalog(
        backends=tuple(enabled),
        aliases={alias.name: alias for alias in aliases if alias.targets},
        tasks=settings.routing.tasks,
        default_model=settings.routing.default_model,
        terms={name: _terms(backend) for name, backend in enabled.items()},
        owners={name: owner for name, owner in owners.items() if name in enabled},
    )


def _terms(backend: BackendSettings) -> Terms:
    """Ollama does one request at a time unless told otherwise; llama.cpp says itself how many."""
    usual = {"ollama": 1, "llama_cpp": None}.get(backend.type, USUAL_PARALLEL)
    return Terms(
        weight=backend.weight,
        max_parallel=backend.max_parallel or usual,
        hosted=backend.is_hosted,
        kind=backend.type,
    )


def _alias(name: str, alias: AliasSettings, enabled: dict[str, BackendSettings]) -> Alias:
    """An alias without the targets on backends that are switched off."""
    targets = (target.partition("/") for target in alias.targets)
    return Alias(
        name=name,
        targets=tuple(Target(backend, model) for backend, _, model in targets if backend in enabled),
        tags=frozenset(alias.tags),
        scored=alias.strategy == "score",
        local_only=alias.local_only,
        profile=Profile(
            options=alias.options,
            context_length=alias.context_length,
            max_tokens=alias.max_tokens,
            thinking_tokens=alias.thinking_tokens,
            truncate=alias.truncate,
            client_options=frozenset(alias.client_options),
            split_thinking=alias.split_thinking,
            resume=alias.resume,
            hedge_after_s=alias.hedge_after,
        ),
        priority=None if alias.priority is None else Priority[alias.priority.upper()],
    )


def _cors(settings: Settings) -> CORSConfig | None:
    origins = settings.server.cors_origins
    if not origins:
        return None
    return CORSConfig(allow_origins=list(origins), allow_headers=["*"], expose_headers=EXPOSED_HEADERS)


def _keeping(storage: Storage | None, prober: Prober):  # noqa: ANN202
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        async with storage.at_work(prober.looked_at_all) if storage else nullcontext():
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

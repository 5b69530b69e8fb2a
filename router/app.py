"""The composition root: settings to objects to Litestar. The only module that builds things."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.types import ASGIApp

from adapters import discover
from router.admission.gate import Gate
from router.auth import Keys
from router.canonical.adapter import ALL_MODELS, Adapter, BackendConfig, Timeouts
from router.canonical.caller import Priority
from router.canonical.request import Profile
from router.dialects.openai_chat import render_error
from router.lanes import lanes_of, tell
from router.launcher import at_rest, connect, key_for, launcher
from router.processes.supervisor import Supervisor
from router.relay.attempts import Tracing
from router.relay.progress import Fleet
from router.relay.relay import Relay
from router.routing.catalog import Alias, Catalog, Target, Terms
from router.routing.health import Health
from router.routing.prober import Prober
from router.settings import Settings
from router.settings.backends import BackendSettings
from router.settings.models import AliasSettings
from router.surfaces.answering import Answering
from router.surfaces.direct import Direct, Endpoint, as_app
from router.surfaces.drain import Drain
from router.surfaces.embeddings import EMBEDDING_PATHS, embedding_endpoint, embedding_routes
from router.surfaces.explain import explain_routes
from router.surfaces.generate import CHAT_PATHS, chat_endpoint, chat_routes
from router.surfaces.guard import EXCEPTION_HANDLERS, Guard, RequestIds
from router.surfaces.health import health_routes
from router.surfaces.llama import llama_routes
from router.surfaces.metrics import Counted, labels_from, metrics_routes
from router.surfaces.models import model_routes
from router.surfaces.queue import queue_routes
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
USUAL_PARALLEL = 32
EXPOSED_HEADERS = ["x-request-id", "retry-after", "x-turnout-backend", "x-turnout-model", "x-turnout-attempts",
                   "x-turnout-reason", "x-turnout-dropped", "x-turnout-warning", "x-turnout-usage",
                   "x-turnout-context"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Router:
    """Everything that a running router consists of; `app` is what a server serves."""

    app: ASGIApp
    fleet: Fleet
    prober: Prober
    drain: Drain
    tokenizer: Tokenizer
    arrears: Arrears


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
) -> Router:
    """Builds a router. `optional` names backends that are only looked for, and are no fault while absent.
    `sinks` take the record of every request, besides those that the settings ask for. `telemetry` stays the caller's.
    """
    fleet = build_fleet(settings, optional=optional)
    drain = Drain(settings.server.drain_s)
    tokenizer = Tokenizer()
    learned = CalibrationFile(settings.server.data_folder)
    lessons = Lessons(learned.load(), tokenizer)
    counted = Counted(Metrics(labels_from(fleet)), QueueMetrics(), lessons.calibration)
    supervisor = launcher(settings, fleet)
    gate = Gate(lanes_of(settings, fleet), max_wait_s=settings.queue.max_wait, watcher=counted.queue)
    fleet = replace(fleet, experience=replace(fleet.experience, waiting=gate.waiting_for), processes=supervisor)
    prober = Prober(fleet.adapters, fleet.health, settings.health, optional=optional, looked=partial(tell, gate))
    connect(supervisor, fleet, gate, prober=prober)
    relay = Relay(fleet, gate, tokenizer, lessons=lessons, tracing=telemetry)
    arrears = Arrears(tokenizer)
    logged = (log_request,) if settings.server.log_requests else ()
    recorder = _recorder((counted.requests.record, fleet.learn, *logged, *sinks), arrears, telemetry=telemetry)
    answering = Answering(relay, drain, keepalive_s=settings.server.keepalive_s, render_error=render_error)
    keys = Keys(settings.auth.api_keys)
    chat = chat_endpoint(answering, max_body_bytes=settings.server.max_body_bytes)
    embed = embedding_endpoint(relay, drain, max_body_bytes=settings.server.max_body_bytes)
    app = Litestar(
        route_handlers=[
            *chat_routes(chat),
            *embedding_routes(embed),
            *model_routes(fleet),
            *explain_routes(fleet, max_body_bytes=settings.server.max_body_bytes),
            *health_routes(fleet, drain, stale_s=settings.health.stale_s),
            *_managing(fleet, gate, supervisor=supervisor, drain=drain),
            *metrics_routes(counted, fleet, gate=gate, drain=drain),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[DefineMiddleware(Guard, keys=keys)],
        cors_config=_cors(settings),
        lifespan=[_running(supervisor), _lifespan(fleet, prober, tokenizer, arrears), _learning(lessons, learned)],
        openapi_config=None,
        logging_config=None,
    )
    served = RequestIds(_direct(app, chat, embed, keys), recorder)
    return Router(telemetry.wrap(served) if telemetry else served, fleet, prober, drain, tokenizer, arrears)


def _recorder(sinks: Sequence[Sink], arrears: Arrears, *, telemetry: Telemetry | None) -> Recorder:
    return Recorder(sinks, arrears, at_once=(telemetry.record,) if telemetry else ())


def _managing(fleet: Fleet, gate: Gate, *, supervisor: Supervisor, drain: Drain) -> list[HTTPRouteHandler]:
    return [*queue_routes(fleet, gate), *llama_routes(supervisor, drain)]


def _direct(app: ASGIApp, chat: Endpoint, embed: Endpoint, keys: Keys) -> ASGIApp:
    """The app, with its busiest routes served without the framework."""
    routes = {**dict.fromkeys(CHAT_PATHS, as_app(chat)), **dict.fromkeys(EMBEDDING_PATHS, as_app(embed))}
    return Direct(app, {path: Guard(route, keys=keys) for path, route in routes.items()})


def build_fleet(settings: Settings, *, optional: frozenset[str] = frozenset()) -> Fleet:
    """The backends, aliases and adapters that the settings describe."""
    enabled = {name: backend for name, backend in settings.backends.items() if backend.enabled}
    kinds = discover()
    adapters = {name: _adapter(kinds, name, backend) for name, backend in enabled.items()}
    at_rest(settings, adapters)
    return Fleet(
        catalog=_catalog(settings, enabled),
        health=Health(enabled),
        adapters=adapters,
        totals={name: backend.timeouts.total for name, backend in enabled.items()},
        optional=optional,
    )


def _adapter(kinds: dict[str, type[Adapter]], name: str, backend: BackendSettings) -> Adapter:
    times = backend.timeouts
    config = BackendConfig(
        name=name,
        url=backend.url,
        api_key=key_for(backend),
        headers={key: value.get_secret_value() for key, value in backend.headers.items()},
        models=backend.models,
        timeouts=Timeouts(connect=times.connect, first_token=times.first_token, idle=times.idle, load=times.load),
        embedding_batch=backend.embedding_batch,
        whole_only=frozenset(backend.whole_only if backend.stream else (ALL_MODELS,)),
        stream_only=frozenset(backend.stream_only),
    )
    return kinds[backend.type](config)


def _catalog(settings: Settings, enabled: dict[str, BackendSettings]) -> Catalog:
    aliases = (_alias(name, alias, enabled) for name, alias in settings.models.items())
    return Catalog(
        backends=tuple(enabled),
        aliases={alias.name: alias for alias in aliases if alias.targets},
        tasks=settings.routing.tasks,
        default_model=settings.routing.default_model,
        terms={name: _terms(backend) for name, backend in enabled.items()},
    )


def _terms(backend: BackendSettings) -> Terms:
    """Ollama does one request at a time unless told otherwise; llama.cpp says itself how many."""
    usual = {"ollama": 1, "llama_cpp": None}.get(backend.type, USUAL_PARALLEL)
    return Terms(weight=backend.weight, max_parallel=backend.max_parallel or usual, hosted=backend.is_hosted)


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


def _running(supervisor: Supervisor):  # noqa: ANN202
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        async with supervisor.running():
            yield

    return lifespan


async def close(fleet: Fleet) -> None:
    """Closes every connection to every backend, within a time limit."""
    async with asyncio.timeout(CLOSE_TIMEOUT_S):
        for adapter in fleet.adapters.values():
            await adapter.aclose()

"""Running the server: the listening socket, signals, draining, and the embedded model."""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from threading import Thread

import uvicorn

from router import embedded
from router.access.keys import NewKey
from router.app import Router, Telemetry, build, build_fleet, close
from router.config_watch import Source, Watch
from router.discovery import guessed, places, with_backends, with_embedded
from router.joined_writes import JoinedWrites
from router.keeping import keeping_of
from router.memory import keep_pages
from router.routing.health import State
from router.routing.prober import Prober
from router.settings import Settings
from router.surfaces.drain import Drain

logger = logging.getLogger(__name__)

BACKLOG = 2048
QUICK_LOOK_S = 2.0
AFTER_DRAIN_S = 5
FLUSH_S = 3.0
GC_THRESHOLD = 10_000


class CannotListen(Exception):
    """The address cannot be listened on; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class Start:
    """What to serve: `look_around` searches this machine for backends, `demo` starts the embedded model at once.

    `source` is the file that is watched from then on, if the settings came from one.
    """

    settings: Settings
    look_around: bool = False
    demo: bool = False
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told that every backend has been looked at, and the key that a database without users gets."""

    announce: Callable[[Router, str], None]
    first_key: Callable[[NewKey], None]


async def serve(start: Start, environ: Mapping[str, str], told: Told) -> None:
    """Serves until a signal has stopped it. `told` hears of what a person should know, once.

    Raises CannotListen, embedded.EmbeddedUnavailable or embedded.EmbeddedFailed.
    """
    keep_pages()
    server_settings = start.settings.server
    with ExitStack() as sockets:
        listener = sockets.enter_context(listening(server_settings.host, server_settings.port))
        listeners = [listener]
        if server_settings.ollama_port is not None:
            second = listening(server_settings.host, server_settings.ollama_port, chosen_by="server.ollama_port")
            listeners.append(sockets.enter_context(second))
        async with _furnished(start, environ) as (settings, optional), tracing(settings, environ) as telemetry:
            keeping = replace(keeping_of(settings, told.first_key), source=start.source)
            router = build(settings, optional=optional, telemetry=telemetry, keeping=keeping)
            server = _Server(_uvicorn_config(router, settings), router.drain, router.watch)
            url = _url(listener)
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(_announce(router, url, told.announce))]
                if router.watch is not None:
                    beside.append(tasks.create_task(router.watch.run()))
                await server.serve(sockets=listeners)
                for task in beside:
                    task.cancel()


@asynccontextmanager
async def tracing(settings: Settings, environ: Mapping[str, str]) -> AsyncGenerator[Telemetry | None]:
    """OpenTelemetry, if it is asked for and installed; at the end, what is left is sent, within a time limit."""
    if not (settings.server.otel or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")):
        yield None
        return
    try:
        from router.telemetry import exporting
    except ModuleNotFoundError:
        logger.warning("OpenTelemetry is asked for but not installed: pip install 'turnout[otel]'")
        yield None
        return
    telemetry = exporting(environ)
    try:
        yield telemetry
    finally:
        await _flush(telemetry.close)


async def _flush(close: Callable[[], None]) -> None:
    """Runs it in a thread that may be left behind, should whoever takes the traces not answer."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def closing() -> None:
        close()
        with suppress(RuntimeError):  # the loop did not wait
            loop.call_soon_threadsafe(done.set)

    Thread(target=closing, name="flush-traces", daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(FLUSH_S):
            await done.wait()


async def _announce(router: Router, url: str, announce: Callable[[Router, str], None]) -> None:
    await router.prober.looked_at_all.wait()
    _spare_the_collector()
    announce(router, url)
    await _warm_up(router)


async def _warm_up(router: Router) -> None:
    """What is imported meanwhile stays too. The collector goes on: what it missed now would be kept for good."""
    await asyncio.gather(*(adapter.warm_up() for adapter in router.fleet.adapters.values()))
    gc.freeze()


def _spare_the_collector() -> None:
    """What start-up made stays for good: the garbage collector need not visit it with every few hundred requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


@contextmanager
def listening(host: str, port: int, *, chosen_by: str = "--port") -> Generator[socket.socket]:
    """A socket that listens there; port 0 takes a free one. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = (error.strerror or "unknown reason").lower()
        hint = f"; stop what uses it or choose another with {chosen_by}" if "in use" in why else ""
        raise CannotListen(f"cannot listen on {host}:{port}: {why}{hint}") from None
    except OverflowError:
        raise CannotListen(f"cannot listen on {host}:{port}: there is no such port") from None
    with listener:
        yield listener


@asynccontextmanager
async def _furnished(start: Start, environ: Mapping[str, str]) -> AsyncGenerator[tuple[Settings, frozenset[str]]]:
    """The settings with what was found on this machine, or with the embedded model, which lives as long."""
    settings, optional = start.settings, frozenset[str]()
    if start.look_around:
        around = places(environ, own_ports=settings.server.ports)
        settings, optional = with_backends(settings, around), guessed(around)
    async with AsyncExitStack() as stack:
        if start.demo or (start.look_around and embedded.available() and not await _anything_answers(settings)):
            servers = await stack.enter_async_context(embedded.embedded_servers())
            settings = with_embedded(settings, ((server.name, server.url) for server in servers))
        yield settings, optional


async def _anything_answers(settings: Settings) -> bool:
    fleet = build_fleet(settings)
    quick = settings.health.model_copy(update={"timeout_s": QUICK_LOOK_S})
    prober = Prober(fleet.adapters, fleet.health, quick, optional=frozenset(fleet.adapters))
    try:
        await asyncio.gather(*(prober.look(name) for name in fleet.adapters))
    finally:
        await close(fleet)
    return any(health.state is State.UP or health.is_trusted for health in fleet.health)


def _uvicorn_config(router: Router, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        router.app,  # pyright: ignore[reportArgumentType]
        http=JoinedWrites,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(settings.server.drain_s) + AFTER_DRAIN_S,
    )


class _Server(uvicorn.Server):
    """Drains on SIGTERM and SIGINT; a second signal does not wait. SIGHUP has the settings read again.

    A SIGHUP because its terminal was closed is meant otherwise, and drains too.
    """

    def __init__(self, config: uvicorn.Config, drain: Drain, watch: Watch | None) -> None:
        super().__init__(config)
        self._drain = drain
        self._watch = watch
        self._has_terminal = os.isatty(0)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGINT: self._signalled, signal.SIGTERM: self._signalled, signal.SIGHUP: self._hung_up}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def _hung_up(self) -> None:
        if self._has_terminal and not os.isatty(0):
            self._signalled()
        elif self._watch is None:
            logger.warning("SIGHUP: there is no settings file to read again")
        else:
            self._watch.ask()

    def _signalled(self) -> None:
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        self._drain.begin()


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Runs a coroutine function on the fastest event loop that the platform has."""

    async def awaited() -> None:
        await main()

    try:
        import uvloop
    except ImportError:
        asyncio.run(awaited())
    else:
        uvloop.run(awaited())

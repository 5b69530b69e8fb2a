"""One run of the bench: its processes, and the works on a router for each group of paths."""

import asyncio
import contextlib
import signal
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path as File

import psutil
from rich.console import Console

from bench import agenda, budgets, configs, failover, measure, servers, wire, works
from bench.paths import OPENAI, Path
from bench.results import Check, Peer, Report, Row
from bench.servers import Server
from bench.turns import Bench, Effort

IDLE_S = 1.0
SETTLE_S = 0.1
console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Given:
    """What was asked for; `paths` are those that the router has a backend type for."""

    works: tuple[str, ...]
    effort: Effort
    router: str
    paths: tuple[Path, ...]
    peer: str | None = None
    peer_config: File | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """What stays throughout: the fake backend, the floor and the peer; everything writes to `directory`."""

    given: Given
    directory: File
    backend: Server
    floor: Server
    peer: Server | None

    async def router(self, stack: AsyncExitStack, paths: tuple[Path, ...]) -> Server:
        """A router with backends for these paths."""
        port = servers.free_port()
        config = configs.works(self.directory, port=port, backend=self.backend.port, paths=paths)
        command = servers.filled(self.given.router, config=config, port=port, backend=self.backend.port)
        running = servers.running(command, port, ready="/health/ready", directory=self.directory)
        return await stack.enter_async_context(running)


async def run(given: Given) -> Report:
    """Start everything, run the chosen works on their paths, stop everything."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)  # type: ignore[union-attr]
    start = time.perf_counter()
    report = Report(peer=Peer(command=given.peer) if given.peer else None)
    async with AsyncExitStack() as stack:
        stage = await _stage(stack, given, report.peer)
        async with AsyncExitStack() as first:
            await stage.router(first, given.paths)  # compiles; the next starts are timed
        for group in agenda.GROUPS:
            paths = tuple(path for path in given.paths if path in group)
            if OPENAI in paths or agenda.steps(given.effort, paths, given.works):
                await _sit(stage, paths, report)
        if "W9" in given.works and "{config}" in given.router:
            await _failovers(stage, report)
        report.floor_rss_mb = stage.floor.tree.rss_mb()
        if report.peer and stage.peer and stage.peer.tree.lives():
            report.peer.peak_mb = stage.peer.tree.peak_rss_mb()
    report.rows = agenda.in_order(report.rows)
    report.elapsed_s = time.perf_counter() - start
    return report


async def _stage(stack: AsyncExitStack, given: Given, peer: Peer | None) -> Stage:
    directory = File(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
    backend, floor = servers.free_port(), servers.free_port()
    fake = await stack.enter_async_context(servers.fake_backend(backend, directory))
    relay = await stack.enter_async_context(servers.floor(floor, directory, backend=backend))
    beside = await _start_peer(stack, given, peer, directory=directory, backend=backend) if peer else None
    return Stage(given, directory, fake, relay, beside)


async def _start_peer(
    stack: AsyncExitStack, given: Given, peer: Peer, *, directory: File, backend: int
) -> Server | None:
    """A peer that does not start is told of in the report. It is ready when it answers W1's request."""
    port = servers.free_port()
    if given.peer_config:
        fields = {"port": str(port), "backend": servers.url(backend), "key": wire.API_KEY}
        config = configs.from_template(given.peer_config, directory, fields)
    else:
        paths = servers.known_paths(peer.command)
        config = configs.works(directory, port=port, backend=backend, paths=paths)
    command = servers.filled(peer.command, config=config, port=port, backend=backend)
    ready = wire.chat(port, OPENAI, native=False)
    try:
        async with servers.running(command, port, ready=ready, directory=directory):
            pass
        started = await stack.enter_async_context(servers.running(command, port, ready=ready, directory=directory))
    except (servers.ServerError, OSError, psutil.Error) as error:
        peer.failure = str(error)
        return None
    await asyncio.sleep(IDLE_S)
    peer.ready_s, peer.idle_mb = started.ready_s, started.tree.rss_mb()
    return started


async def _sit(stage: Stage, paths: tuple[Path, ...], report: Report) -> None:
    """The works of some paths on a router that has backends for these only."""
    async with AsyncExitStack() as stack:
        router = await stage.router(stack, paths)
        bench = Bench(stage.backend, stage.floor, router, stage.given.effort, stage.peer)
        await asyncio.sleep(IDLE_S)
        report.process += _start_checks(router, paths)
        others, begun = measure.machine_cpu_s() - bench.cpu_s(), time.perf_counter()
        await _warm_up(bench, paths)
        for path, step in agenda.steps(bench.effort, paths, stage.given.works):
            await asyncio.sleep(SETTLE_S)
            report.rows.append(await step(bench, path))
            _tell(report.rows[-1])
        elapsed = time.perf_counter() - begun
        used = (measure.machine_cpu_s() - bench.cpu_s() - others) / elapsed
        report.others_cores = max(report.others_cores, used)
        report.router_peak_mb = max(report.router_peak_mb, router.tree.peak_rss_mb())
        report.said += router.said()
        if report.peer:
            report.peer.silent += [path.name for path in bench.silent]


def _start_checks(router: Server, paths: tuple[Path, ...]) -> list[Check]:
    """The budgets are those of a router with the backends everybody has."""
    figures = [(budgets.START, router.ready_s), (budgets.IDLE_RSS, router.tree.rss_mb())]
    if OPENAI not in paths:
        names = ", ".join(path.name for path in paths)
        figures = [(budgets.unlimited(budget, names), value) for budget, value in figures]
    return [Check(budget, value) for budget, value in figures]


async def _warm_up(bench: Bench, paths: tuple[Path, ...]) -> None:
    for path in paths:
        errors = await works.warm_up(bench, path)
        if errors:
            console.print(f"warm-up, {path.name}: {dict(errors)}", highlight=False)


async def _failovers(stage: Stage, report: Report) -> None:
    """W9 needs settings of its own, so the peer takes part only where it reads the router's."""
    given, tries, backend = stage.given, stage.given.effort.failures, stage.backend.port
    async with AsyncExitStack() as stack:
        ready = failover.ready(given.router, stage.directory, backend=backend, tries=tries)
        router = await stack.enter_async_context(ready)
        peer = None
        if stage.peer and given.peer and given.peer_config is None and "{config}" in given.peer:
            with contextlib.suppress(servers.ServerError, OSError, TimeoutError):
                ready = failover.ready(given.peer, stage.directory, backend=backend, tries=tries)
                peer = await stack.enter_async_context(ready)
        for kind in failover.KINDS:
            report.rows.append(await failover.failover(router, kind, tries=tries, peer=peer))
            _tell(report.rows[-1])


def _tell(row: Row) -> None:
    console.print(f"{row.work}, {row.path}: done", highlight=False)

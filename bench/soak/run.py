"""One soak: the fakes, the router, the callers, and what is left when they have gone."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from random import Random

import aiohttp
import msgspec

from bench import client, servers
from bench.servers import Server
from bench.soak import asking, faults, kinds
from bench.soak.asking import MIX, REPLY, Caller, Wrong
from bench.wire import API_KEY
from tests.fakes.process import FakeProcess

CONCURRENCY = 64
CLIENT_KEEPALIVE_S = 2.0  # below uvicorn's 5: an idle connection is given up here first
SETTLE_S = 10.0
LOADED_S = 60.0
READINGS = 10
WARM_SHARE = 0.2
NOT_IN_LOG = ("Traceback", "unexpected on", "never retrieved", "never awaited", "Unclosed", "Exception ignored")


@dataclass(frozen=True, slots=True)
class Left:
    """One thing that must be back to base, or below a limit over it."""

    what: str
    base: float
    end: float
    limit: float

    @property
    def is_back(self) -> bool:
        """Whether it is."""
        return self.end - self.base <= self.limit


@dataclass(slots=True)
class Found:
    """What came of a soak: outcomes and wrong answers by kind of request, what is left, and lines of the log."""

    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    left: list[Left] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    elapsed_s: float = 0.0
    slowest_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not any(self.wrong.values()) and all(one.is_back for one in self.left) and not self.said


async def run(*, requests: int, memory_mb: float, seed: int, router: str = servers.ROUTER) -> Found:
    """Send the requests; the first fifth warms up, and memory is compared with what it was after that."""
    found, start = Found(), time.perf_counter()
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        known = tuple(path.kind for path in servers.known_paths(router))
        running = stack.enter_async_context
        async with AsyncExitStack() as fakes:
            with _stderr_to(directory / "fakes.log"):
                urls = await _fakes(fakes, known)
            server = await running(_router(router, directory, urls))
            await _counting(server)
            fds = await _settled(server.tree.fds)
            await _loaded(server, known)
            session = await fakes.enter_async_context(_session())
            caller = Caller(session, servers.url(server.port), tuple(urls), Random(seed))
            await _ask_all(caller, found, int(requests * WARM_SHARE), urls)
            await _quiet(server, session, urls)
            memory = server.tree.rss_mb()
            await _ask_all(caller, found, requests - int(requests * WARM_SHARE), urls)
            found.left = [Left("in flight", 0, await _quiet(server, session, urls), 0)]
            found.left.append(
                Left("memory, MB", memory, await _lowest(server.tree.rss_mb, memory + memory_mb), memory_mb)
            )
        # The fakes are gone, and with them every connection that the router kept for later.
        found.left.append(Left("descriptors", fds, await _lowest(server.tree.fds, fds), 0))
        found.said = [line for line in server.said() if any(word in line for word in NOT_IN_LOG)]
    found.elapsed_s = time.perf_counter() - start
    return found


@contextlib.contextmanager
def _stderr_to(file: Path) -> Iterator[None]:
    """What is started inside writes its stderr there: a fake has much to say about connections that end."""
    saved = os.dup(2)
    try:
        with file.open("ab") as output:
            os.dup2(output.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


async def _fakes(stack: AsyncExitStack, known: tuple[str, ...]) -> dict[str, str]:
    urls = {}
    for kind in kinds.KINDS:
        if kind.name in known or kind.name == "llama_cpp":
            fake = FakeProcess(kind=kind.name, models=kinds.models(kind), reply=REPLY)  # type: ignore[arg-type]
            urls[kind.name] = (await stack.enter_async_context(fake)).url
    return urls


def _router(template: str, directory: Path, urls: dict[str, str]) -> contextlib.AbstractAsyncContextManager[Server]:
    port = servers.free_port()
    config = kinds.settings(directory, port=port, urls=urls)
    command = servers.filled(template, config=config, port=port, backend=0)
    return servers.running(command, port, ready="/health/ready", directory=directory)


async def _counting(server: Server) -> None:
    """Has the router start the process that knows tokens, which stays: ids are decoded before a model is sought."""
    asked = {"model": "nobody-has-this", "input": [[15339]]}
    await _asked(server, "/v1/embeddings", asked)


async def _loaded(server: Server, known: tuple[str, ...]) -> None:
    """Waits until Claude answers: what it takes to ask it is loaded beside the first requests, and stays."""
    asked = {"model": f"claude/{kinds.CHAT}", "messages": [{"role": "user", "content": "hi"}]}
    deadline = time.perf_counter() + LOADED_S
    while "claude" in known and await _asked(server, "/v1/chat/completions", asked) != HTTPStatus.OK:
        if time.perf_counter() > deadline:
            raise TimeoutError("Claude does not answer before the soak")


async def _asked(server: Server, path: str, body: object) -> int:
    """The status of the answer to one request; its connection is closed."""
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with (
        _session() as session,
        session.post(servers.url(server.port) + path, json=body, headers=headers) as answer,
    ):
        await answer.read()
        return answer.status


@asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=CLIENT_KEEPALIVE_S)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
        yield session


async def _ask_all(caller: Caller, found: Found, count: int, urls: dict[str, str]) -> None:
    """So many requests, CONCURRENCY at once, while the fakes fail; afterwards they are sound again."""
    names = list(MIX)
    weights = [weight for _, weight in MIX.values()]
    ahead = iter(caller.random.choices(names, weights, k=count))

    async def one() -> None:
        for name in ahead:
            begun = time.perf_counter()
            try:
                found.outcomes[name][await asking.asked(caller, MIX[name][0])] += 1
            except Wrong as wrong:
                found.wrong[name][str(wrong)] += 1
            except (ValueError, LookupError, TypeError) as error:
                found.wrong[name][f"unreadable: {type(error).__name__}"] += 1
            found.slowest_s = max(found.slowest_s, time.perf_counter() - begun)

    failing = asyncio.create_task(
        faults.keep_failing(caller.session, list(urls.values()), Random(caller.random.random()))
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONCURRENCY):
                tasks.create_task(one())
    finally:
        failing.cancel()
        await asyncio.wait([failing])
    if not failing.cancelled():
        failing.result()
    for url in urls.values():
        await faults.set_fault(caller.session, url, {})


class _Backend(msgspec.Struct):
    in_flight: int


class _Health(msgspec.Struct):
    backends: list[_Backend]


async def _quiet(server: Server, session: aiohttp.ClientSession, urls: dict[str, str]) -> int:
    """Wait until nothing is in flight, in the router or in the fakes; returns what is left."""
    deadline = time.perf_counter() + SETTLE_S
    while True:
        _, body = await client.get(server.port, "/health")
        left = sum(backend.in_flight for backend in msgspec.json.decode(body, type=_Health).backends)
        left += sum([await faults.in_flight(session, url) for url in urls.values()])
        if not left or time.perf_counter() > deadline:
            return left
        await asyncio.sleep(0.05)


async def _settled(read: Callable[[], float]) -> float:
    """The lowest of some readings: what has just ended is on its way out."""
    readings = [read()]
    while len(readings) < READINGS:
        await asyncio.sleep(0.1)
        readings.append(read())
    return min(readings)


async def _lowest(read: Callable[[], float], limit: float) -> float:
    """The first reading within the limit, or the lowest seen while waiting for one."""
    deadline = time.perf_counter() + SETTLE_S
    lowest = read()
    while lowest > limit and time.perf_counter() < deadline:
        await asyncio.sleep(0.1)
        lowest = min(lowest, read())
    return lowest

"""The load: keep-alive connections in closed loop, at a fixed rate, and leaving mid-stream."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import cycle, islice, pairwise
from typing import TypeVar

import httptools
import msgspec

from bench.answers import MARK
from bench.measure import no_gc
from bench.wire import API_KEY, Ask, fault

HOST = "127.0.0.1"
DEADLINE_S = 30.0
LONGEST_S = 6.0  # after this long, a closed loop begins no further request
clock = time.perf_counter


class Run(msgspec.Struct):
    """What one run of load saw; times in milliseconds, the whole run in seconds."""

    elapsed_s: float = 0.0
    done: int = 0
    walls_ms: list[float] = []
    first_ms: list[float] = []
    gaps_ms: list[float] = []
    errors: Counter[str] = msgspec.field(default_factory=Counter)
    client_busy: float = 0.0

    def add(self, link: "Link", ask: Ask) -> None:
        """Count one whole exchange."""
        wrong = fault(ask, link.status, b"".join(link.parts))
        if wrong is not None:
            self.errors[wrong] += 1
            return
        self.done += 1
        self.walls_ms.append((link.ended - link.started) * 1000)
        if link.stamps:
            self.first_ms.append((link.stamps[0] - link.started) * 1000)
            self.gaps_ms.extend((later - earlier) * 1000 for earlier, later in pairwise(link.stamps))


class Link(asyncio.Protocol):
    """One connection, one exchange at a time; times each content frame as it arrives."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.parser = httptools.HttpResponseParser(self)
        self.waiter: asyncio.Future[None] | None = None
        self.closed = False
        self.reset(frames=0)

    def reset(self, *, frames: int) -> None:
        """Forget the last exchange; resolve at `frames` content frames, or at the end when 0."""
        self.parts: list[bytes] = []
        self.stamps: list[float] = []
        self.enough = frames
        self.carry = b""
        self.status = 0
        self.started = self.ended = 0.0

    async def exchange(self, ask: Ask, *, frames: int = 0) -> None:
        """Send and wait; raises ConnectionError when the connection ends first."""
        if self.closed:
            raise ConnectionResetError
        self.reset(frames=frames)
        self.streaming = bool(ask.frames)
        self.waiter = asyncio.get_running_loop().create_future()
        self.started = clock()
        self.transport.write(ask.raw)
        await self.waiter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the exchange under way."""
        self.closed = True
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(exc if isinstance(exc, OSError) else ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        """Parse; the parser calls the methods below."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_body(self, data: bytes) -> None:
        """Count the content frames that begin here, and time them."""
        self.parts.append(data)
        if not self.streaming:
            return
        data = self.carry + data
        self.carry = data[1 - len(MARK) :]
        count = data.count(MARK)
        if count:
            self.stamps.extend([clock()] * count)
            if self.enough and len(self.stamps) >= self.enough:
                self.finish()

    def on_message_complete(self) -> None:
        """End the exchange."""
        self.ended = clock()
        self.status = self.parser.get_status_code()
        self.finish()

    def finish(self) -> None:
        """Wake whoever waits."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class TellingLink(Link):
    """A connection that keeps the headers of the answer, names in lower case."""

    def reset(self, *, frames: int) -> None:
        """Forget the headers too."""
        super().reset(frames=frames)
        self.headers: dict[bytes, bytes] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header."""
        self.headers[name.lower()] = value


SomeLink = TypeVar("SomeLink", bound=Link)


async def connect(port: int, kind: type[SomeLink] = Link) -> SomeLink:
    """Open one connection; the caller closes its transport."""
    _, link = await asyncio.get_running_loop().create_connection(kind, HOST, port)
    return link


async def _recorded(run: Run, work: Callable[[], "asyncio.Future[None] | asyncio.Task[None]"]) -> Run:
    cpu, start = time.process_time(), clock()
    try:
        async with asyncio.timeout(DEADLINE_S):
            await work()
    except TimeoutError:
        run.errors["run timed out"] += 1
    run.elapsed_s = clock() - start
    run.client_busy = (time.process_time() - cpu) / run.elapsed_s
    return run


async def closed_loop(asks: Ask | Sequence[Ask], *, connections: int, count: int) -> Run:
    """Send `count` requests in turn, each connection the next one as soon as it has its answer."""
    run, ahead = Run(), islice(cycle([asks] if isinstance(asks, Ask) else asks), count)
    port = asks.port if isinstance(asks, Ask) else asks[0].port
    links = [await connect(port) for _ in range(connections)]
    latest = clock() + LONGEST_S

    async def one(link: Link) -> None:
        for ask in ahead:
            if clock() > latest:
                return
            try:
                await link.exchange(ask)
                run.add(link, ask)
            except OSError as error:
                run.errors[type(error).__name__] += 1
                link = await connect(ask.port)
                links.append(link)

    with no_gc():
        await _recorded(run, lambda: asyncio.gather(*(one(link) for link in links[:connections])))
    _close(links)
    return run


async def fixed_rate(lanes: Sequence[Ask], *, rate: float, seconds: float) -> list[Run]:
    """Send each lane `rate` requests a second whatever the answers do; lanes take turns within each period."""
    runs = [Run() for _ in lanes]
    pools = [[await connect(ask.port) for _ in range(4)] for ask in lanes]
    loop = asyncio.get_running_loop()

    async def one(lane: int) -> None:
        link = pools[lane].pop() if pools[lane] else await connect(lanes[lane].port)
        try:
            await link.exchange(lanes[lane])
            runs[lane].add(link, lanes[lane])
            pools[lane].insert(0, link)
        except OSError as error:
            runs[lane].errors[type(error).__name__] += 1

    async def ticks() -> None:
        start, gap = loop.time() + 0.01, 1 / rate / len(lanes)
        async with asyncio.TaskGroup() as tasks:
            for tick in range(int(rate * seconds) * len(lanes)):
                await asyncio.sleep(start + tick * gap - loop.time())
                tasks.create_task(one(tick % len(lanes)))

    with no_gc():
        whole = await _recorded(Run(), lambda: asyncio.ensure_future(ticks()))
    for run, pool in zip(runs, pools, strict=True):
        run.elapsed_s, run.client_busy = whole.elapsed_s, whole.client_busy
        run.errors.update(whole.errors)
        _close(pool)
    return runs


async def churn(ask: Ask, *, connections: int, count: int) -> Run:
    """Open `count` streams and leave each after 1 to 10 frames, by turns with FIN and with RST."""
    run, left = Run(), count

    async def one() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            turn = left
            try:
                link = await connect(ask.port)
                await link.exchange(ask, frames=1 + turn % 10)
            except OSError as error:
                run.errors[type(error).__name__] += 1
                continue
            if link.ended:
                run.errors["stream ended early"] += 1
            run.done += 1
            link.transport.abort() if turn % 2 else link.transport.close()

    return await _recorded(run, lambda: asyncio.gather(*(one() for _ in range(connections))))


async def once(ask: Ask, *, link: Link | None = None) -> Run:
    """One request on a connection of its own, which the caller may give to read the answer from it.

    Raises OSError and TimeoutError.
    """
    run, link = Run(), link or await connect(ask.port)
    try:
        async with asyncio.timeout(DEADLINE_S):
            await link.exchange(ask)
        run.add(link, ask)
        return run
    finally:
        link.transport.close()


async def get(port: int, path: str) -> tuple[int, bytes]:
    """One GET on a new connection: status and body; raises OSError."""
    link = await connect(port)
    try:
        raw = f"GET {path} HTTP/1.1\r\nhost: {HOST}:{port}\r\nauthorization: Bearer {API_KEY}\r\n\r\n".encode()
        async with asyncio.timeout(5):
            await link.exchange(Ask(port, raw))
        return link.status, b"".join(link.parts)
    finally:
        with contextlib.suppress(OSError):
            link.transport.close()


def _close(links: Sequence[Link]) -> None:
    for link in links:
        link.transport.close()

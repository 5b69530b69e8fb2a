"""The work W8: clients who leave mid-stream, and what is left of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from bench import budgets, client
from bench.backend import Stats
from bench.client import Run
from bench.paths import Path
from bench.results import Check, Row
from bench.turns import ROUTER, Bench, by_turns, cost, row
from bench.works import MANY, PACE_MS

CONNECTIONS = 50
FIRST = 100
CHATS = 750
BACK_TO_BASE_S = 5.0


async def churn(bench: Bench, path: Path) -> Row:
    """W8: W1, disconnects, W1 again; then descriptors, memory and the backend's streams."""
    ask = bench.stream(ROUTER, path, delay_ms=PACE_MS)
    tree = bench.router.tree
    await client.churn(ask, connections=CONNECTIONS, count=FIRST)
    before = await _chat(bench, path)
    await asyncio.sleep(0.5)
    fds, rss = tree.fds(), tree.rss_mb()

    def leave(_: str) -> Awaitable[Run]:
        return client.churn(ask, connections=CONNECTIONS, count=bench.effort.disconnects)

    left = await cost(bench, ROUTER, leave)
    release_ms, in_flight = await _release(bench.backend.port)
    after = await _chat(bench, path)
    fds_over = await _lowest(lambda: tree.fds() - fds, budgets.W8_FDS.limit)
    rss_over = await _lowest(lambda: tree.rss_mb() - rss, budgets.W8_RSS.limit)

    return Row(
        work=f"W8 churn, {bench.effort.disconnects} disconnects",
        path=path.name,
        cpu_ms=left.cpu_ms,
        per_s=left.per_s,
        checks=[
            Check(budgets.W8_CPU, after.ratio / before.ratio),
            Check(budgets.W8_FDS, fds_over),
            Check(budgets.W8_RSS, rss_over),
            Check(budgets.W8_LEFT, in_flight),
            Check(budgets.W8_RELEASE, release_ms),
        ],
        errors=before.errors + left.run.errors + after.errors,
    )


async def _chat(bench: Bench, path: Path) -> Row:
    def load(side: str) -> Awaitable[Run]:
        return client.closed_loop(bench.chat(side, path), connections=MANY, count=CHATS)

    return row("W1", path, await by_turns(bench, path, load))


async def _release(backend: int) -> tuple[float, int]:
    """Milliseconds until the backend has no stream in flight, and how many are left when we stop waiting."""
    start = time.perf_counter()
    while True:
        _, body = await client.get(backend, "/bench/stats")
        waited = time.perf_counter() - start
        in_flight = msgspec.json.decode(body, type=Stats).in_flight
        if in_flight == 0 or waited > BACK_TO_BASE_S:
            return waited * 1000, in_flight
        await asyncio.sleep(0.002)


async def _lowest(read: Callable[[], float], limit: float) -> float:
    """The first reading within the limit, or the lowest seen while waiting for one."""
    deadline = time.perf_counter() + BACK_TO_BASE_S
    lowest = read()
    while lowest > limit and time.perf_counter() < deadline:
        await asyncio.sleep(0.1)
        lowest = min(lowest, read())
    return lowest

"""The work W8: clients who leave mid-stream, and what is left of them."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import psutil

from bench import budgets, client
from bench.backend import Stats
from bench.client import Run
from bench.paths import Path
from bench.results import Check, Figure, Row
from bench.turns import FLOOR, PEER, ROUTER, Bench, Cost, by_turns, cost, row
from bench.works import MANY, PACE_MS

CONNECTIONS = 50
FIRST = 100
CHATS = 750
BACK_TO_BASE_S = 5.0


@dataclass(frozen=True, slots=True)
class Left:
    """What disconnects cost one side, and what was left of them; `w1` is W1's ratio to the floor, after over before."""

    cost: Cost
    w1: float
    fds: float
    rss_mb: float
    in_flight: int
    release_ms: float
    errors: Counter[str]


async def churn(bench: Bench, path: Path) -> Row:
    """W8: W1, disconnects, W1 again; then descriptors, memory and the backend's streams."""
    left = await _churned(bench, ROUTER, path)
    found = Row(
        work=f"W8 churn, {bench.effort.disconnects} disconnects",
        path=path.name,
        cpu_ms=left.cost.cpu_ms,
        per_s=left.cost.per_s,
        checks=[
            Check(budgets.W8_CPU, left.w1),
            Check(budgets.W8_FDS, left.fds),
            Check(budgets.W8_RSS, left.rss_mb),
            Check(budgets.W8_LEFT, left.in_flight),
            Check(budgets.W8_RELEASE, left.release_ms),
        ],
        errors=left.errors,
    )
    if PEER in bench.sides(path):
        try:
            _beside(found, left, await _churned(bench, PEER, path))
        except (OSError, psutil.Error) as error:
            found.peer_errors[type(error).__name__] += 1
    return found


def _beside(found: Row, router: Left, peer: Left) -> None:
    """Show what the checks hold the router to, of the peer."""
    found.peer_ms, found.peer_per_s, found.peer_errors = peer.cost.cpu_ms, peer.cost.per_s, peer.errors
    found.figures = [
        Figure("W1 after / before", router=router.w1, peer=peer.w1),
        Figure("descriptors over", router=router.fds, peer=peer.fds),
        Figure("MB over", router=router.rss_mb, peer=peer.rss_mb),
        Figure("backend in flight", router=router.in_flight, peer=peer.in_flight),
        Figure("backend let go in", router=router.release_ms, peer=peer.release_ms),
    ]


async def _churned(bench: Bench, side: str, path: Path) -> Left:
    ask = bench.stream(side, path, delay_ms=PACE_MS)
    tree = bench.server(side).tree
    await client.churn(ask, connections=CONNECTIONS, count=FIRST)
    before = await _chat(bench, side, path)
    await asyncio.sleep(0.5)
    fds, rss = tree.fds(), tree.rss_mb()

    def leave(_: str) -> Awaitable[Run]:
        return client.churn(ask, connections=CONNECTIONS, count=bench.effort.disconnects)

    left = await cost(bench, side, leave)
    release_ms, in_flight = await _release(bench.backend.port)
    after = await _chat(bench, side, path)
    return Left(
        cost=left,
        w1=after.ratio / before.ratio,
        fds=await _lowest(lambda: tree.fds() - fds, budgets.W8_FDS.limit),
        rss_mb=await _lowest(lambda: tree.rss_mb() - rss, budgets.W8_RSS.limit),
        in_flight=in_flight,
        release_ms=release_ms,
        errors=before.errors + left.run.errors + after.errors,
    )


async def _chat(bench: Bench, side: str, path: Path) -> Row:
    """W1 on the floor and one side; the row's router is that side."""

    def load(which: str) -> Awaitable[Run]:
        return client.closed_loop(bench.chat(which, path), connections=MANY, count=CHATS)

    rounds = await by_turns(bench, path, load, sides=(FLOOR, side))
    return row("W1", path, [{FLOOR: one[FLOOR], ROUTER: one[side]} for one in rounds])


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

"""The works W1, W2 and W3, each on the floor and on the router by turns."""

import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench import budgets, client, wire
from bench.budgets import OPENAI
from bench.client import Run
from bench.measure import median, percentile
from bench.results import Check, Figure, Row
from bench.servers import Server
from bench.wire import Ask

FRAMES = 100
PACE_MS = 20
PACED = 100
RATE = 50.0
MANY = 32
FEW = 8


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of everything one run does: `turns` for the works of a second or less, `rounds` for the others."""

    turns: int
    rounds: int
    requests: int
    seconds: float
    streams: int
    single_streams: int
    disconnects: int


FULL = Effort(turns=5, rounds=3, requests=1500, seconds=4, streams=400, single_streams=100, disconnects=1000)
QUICK = Effort(turns=3, rounds=1, requests=500, seconds=1.5, streams=150, single_streams=50, disconnects=300)


@dataclass(frozen=True, slots=True)
class Bench:
    """The running processes and how much to ask of them."""

    backend: Server
    floor: Server
    router: Server
    effort: Effort

    def chat(self, side: str, path: str) -> Ask:
        """W1's request for `direct`, `floor` or `router`."""
        return wire.chat(self._port(side), path, native=side != "router")

    def stream(self, side: str, path: str, *, delay_ms: int) -> Ask:
        """W2's and W3's request, likewise."""
        return wire.stream(self._port(side), path, native=side != "router", frames=FRAMES, delay_ms=delay_ms)

    def cpu_s(self) -> float:
        """CPU seconds so far of everything that is the bench's own, this process included."""
        return time.process_time() + sum(one.tree.cpu_s() for one in (self.backend, self.floor, self.router))

    def _port(self, side: str) -> int:
        return {"direct": self.backend.port, "floor": self.floor.port, "router": self.router.port}[side]


@dataclass(frozen=True, slots=True)
class Cost:
    """A run of load and the CPU seconds the server's process tree spent on it."""

    run: Run
    cpu_s: float

    @property
    def cpu_ms(self) -> float:
        """Milliseconds per whole exchange."""
        return self.cpu_s * 1000 / self.run.done if self.run.done else math.nan

    @property
    def per_s(self) -> float:
        """Whole exchanges a second."""
        return self.run.done / self.run.elapsed_s


@dataclass(frozen=True, slots=True)
class Pair:
    """One round: the floor and the router under the same load."""

    floor: Cost
    router: Cost


async def cost(server: Server, load: Awaitable[Run]) -> Cost:
    """Run the load; CPU is read just before and just after."""
    before = server.tree.cpu_s()
    run = await load
    return Cost(run, server.tree.cpu_s() - before)


async def by_turns(bench: Bench, load: Callable[[str], Awaitable[Run]]) -> list[Pair]:
    """Load the floor and the router by turns, the other one first in every second round."""
    pairs = []
    for number in range(bench.effort.turns):
        order = ("floor", "router") if number % 2 == 0 else ("router", "floor")
        costs = {side: await cost(getattr(bench, side), load(side)) for side in order}
        pairs.append(Pair(**costs))
    return pairs


def row(work: str, path: str, pairs: Sequence[Pair]) -> Row:
    """Medians over the rounds; the ratio is the median of the rounds' ratios."""
    return Row(
        work=work,
        path=path,
        cpu_ms=median([pair.router.cpu_ms for pair in pairs]),
        floor_ms=median([pair.floor.cpu_ms for pair in pairs]),
        ratio=median([pair.router.cpu_ms / pair.floor.cpu_ms for pair in pairs]),
        per_s=median([pair.router.per_s for pair in pairs]),
        floor_per_s=median([pair.floor.per_s for pair in pairs]),
        errors=sum((pair.router.run.errors for pair in pairs), Counter()),
        floor_errors=sum((pair.floor.run.errors for pair in pairs), Counter()),
        client_busy=max(pair.router.run.client_busy for pair in pairs),
    )


def _share(runs: Sequence[Run], share: float, values: Callable[[Run], list[float]]) -> float:
    return median([percentile(values(run), share) for run in runs])


def _over(runs: Sequence[Run], base: Sequence[Run], share: float, values: Callable[[Run], list[float]]) -> float:
    pairs = zip(runs, base, strict=True)
    return median([percentile(values(run), share) - percentile(values(other), share) for run, other in pairs])


async def warm_up(bench: Bench, path: str) -> Counter[str]:
    """Send a little of everything to all three; returns the router's errors."""
    errors: Counter[str] = Counter()
    for side in ("direct", "floor", "router"):
        chats = await client.closed_loop(bench.chat(side, path), connections=32, count=300)
        streams = await client.closed_loop(bench.stream(side, path, delay_ms=0), connections=8, count=40)
        if side == "router":
            errors = chats.errors + streams.errors
    return errors


async def chat_at(bench: Bench, path: str, connections: int) -> Row:
    """W1 in closed loop."""
    effort = bench.effort

    def load(side: str) -> Awaitable[Run]:
        return client.closed_loop(bench.chat(side, path), connections=connections, count=effort.requests)

    pairs = await by_turns(bench, load)
    found = row(f"W1 chat, {connections} at once", path, pairs)
    if connections == FEW and path == OPENAI:
        found.checks = [Check(budgets.W1_RATE, found.per_s)]
    if connections == MANY:
        found.checks = [Check(budgets.W1_CPU[path], found.cpu_ms, found.floor_ms)]
    return found


async def chat_paced(bench: Bench, path: str) -> Row:
    """W1 at 50/s: backend, floor and router side by side in one window, so that noise hits all three."""
    pairs, direct = [], []
    sides = ("direct", "floor", "router")
    for _ in range(bench.effort.rounds):
        before = bench.floor.tree.cpu_s(), bench.router.tree.cpu_s()
        asks = [bench.chat(side, path) for side in sides]
        runs = await client.fixed_rate(asks, rate=RATE, seconds=bench.effort.seconds)
        after = bench.floor.tree.cpu_s(), bench.router.tree.cpu_s()
        direct.append(runs[0])
        pairs.append(Pair(Cost(runs[1], after[0] - before[0]), Cost(runs[2], after[1] - before[1])))
    found = row(f"W1 chat, {RATE:.0f}/s", path, pairs)
    floors, routers = [pair.floor.run for pair in pairs], [pair.router.run for pair in pairs]
    for name, share in (("added p50", 0.5), ("added p99", 0.99)):
        added = [_over(runs, direct, share, lambda run: run.walls_ms) for runs in (routers, floors)]
        found.latency.append(Figure(name, *added, _share(direct, share, lambda run: run.walls_ms)))
    found.checks = [
        Check(budgets.W1_ADDED_P50, found.latency[0].router),
        Check(budgets.W1_ADDED_P99, found.latency[1].router),
    ]
    return found


async def burst(bench: Bench, path: str, connections: int) -> Row:
    """W2 in closed loop."""
    count = bench.effort.streams if connections > 1 else bench.effort.single_streams

    def load(side: str) -> Awaitable[Run]:
        return client.closed_loop(bench.stream(side, path, delay_ms=0), connections=connections, count=count)

    pairs = await by_turns(bench, load)
    found = row(f"W2 burst, {connections} at once", path, pairs)
    found.chunk_us = found.cpu_ms * 1000 / FRAMES
    floors, routers = [pair.floor.run for pair in pairs], [pair.router.run for pair in pairs]
    for name, share in (("wall p50", 0.5), ("wall p99", 0.99)):
        walls = [_share(runs, share, lambda run: run.walls_ms) for runs in (routers, floors)]
        found.latency.append(Figure(name, *walls))
    if connections > 1:
        found.checks = [Check(budgets.W2_CPU[path], found.cpu_ms, found.floor_ms)]
    else:
        found.checks = [Check(budgets.W2_WALL, found.latency[0].router)]
    return found


async def paced(bench: Bench, path: str) -> Row:
    """W3: all streams at once, on the backend itself too."""
    direct = []

    async def load(side: str) -> Run:
        ask = bench.stream(side, path, delay_ms=PACE_MS)
        return await client.closed_loop(ask, connections=PACED, count=PACED)

    pairs = []
    for _ in range(bench.effort.rounds):
        direct.append(await load("direct"))
        floor = await cost(bench.floor, load("floor"))
        pairs.append(Pair(floor, await cost(bench.router, load("router"))))
    found = row(f"W3 paced, {PACED} at once", path, pairs)
    found.chunk_us = found.cpu_ms * 1000 / FRAMES
    floors, routers = [pair.floor.run for pair in pairs], [pair.router.run for pair in pairs]
    gaps = [_over(runs, direct, 0.99, lambda run: run.gaps_ms) for runs in (routers, floors)]
    direct_gap = _share(direct, 0.99, lambda run: run.gaps_ms)
    firsts = [_share(runs, 0.5, lambda run: run.first_ms) for runs in (routers, floors, direct)]
    found.latency = [Figure("gap p99 over direct", *gaps, direct_gap), Figure("first frame p50", *firsts)]
    found.checks = [
        Check(budgets.W3_CPU, found.cpu_ms, found.floor_ms),
        Check(budgets.W3_GAP, found.latency[0].router),
    ]
    return found

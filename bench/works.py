"""The works W1, W2 and W3, each on the floor and on the router by turns; W6 is these on the translated paths."""

from collections import Counter
from collections.abc import Awaitable

from bench import budgets, client
from bench.client import Run
from bench.paths import OPENAI, Path
from bench.results import Check, Row
from bench.turns import DIRECT, FRAMES, PEER, ROUTER, Bench, Cost, by_turns, cost, figure, firsts, gaps, row, walls

PACE_MS = 20
PACED = 100
RATE = 50.0
MANY = 32
FEW = 8


async def warm_up(bench: Bench, path: Path) -> Counter[str]:
    """Send a little of everything to everybody; returns the router's errors.

    A peer that answers nothing is left out from here on.
    """
    errors: Counter[str] = Counter()
    effort = bench.effort
    for side in (DIRECT, *bench.sides(path)):
        runs: list[Run] = []

        async def load(side: str, runs: list[Run] = runs) -> Run:
            runs.append(await client.closed_loop(bench.chat(side, path), connections=32, count=effort.requests // 5))
            runs.append(
                await client.closed_loop(
                    bench.stream(side, path, delay_ms=0), connections=8, count=effort.streams // 10
                )
            )
            return runs[0]

        await cost(bench, side, load)
        if side == ROUTER:
            errors = sum((run.errors for run in runs), Counter())
        if side == PEER and not any(run.done for run in runs):
            bench.silent.add(path)
    return errors


async def chat_at(bench: Bench, path: Path, connections: int) -> Row:
    """W1 in closed loop."""
    effort = bench.effort

    def load(side: str) -> Awaitable[Run]:
        return client.closed_loop(bench.chat(side, path), connections=connections, count=effort.requests)

    found = row(f"W1 chat, {connections} at once", path, await by_turns(bench, path, load))
    if connections == FEW and path == OPENAI:
        found.checks = [Check(budgets.W1_RATE, found.per_s)]
    if connections == MANY and path in budgets.W1_CPU:
        found.checks = [Check(budgets.W1_CPU[path], found.cpu_ms, found.floor_ms)]
    return found


async def chat_paced(bench: Bench, path: Path) -> Row:
    """W1 at 50/s: all side by side in one window, so that noise hits everybody."""
    rounds = []
    sides = bench.sides(path)
    for _ in range(bench.effort.rounds):
        before = [bench.server(side).tree.cpu_s() for side in sides]
        asks = [bench.chat(side, path) for side in (DIRECT, *sides)]
        direct, *runs = await client.fixed_rate(asks, rate=RATE, seconds=bench.effort.seconds)
        spent = [bench.server(side).tree.cpu_s() - cpu for side, cpu in zip(sides, before, strict=True)]
        costs = {side: Cost(run, cpu) for side, run, cpu in zip(sides, runs, spent, strict=True)}
        rounds.append({DIRECT: Cost(direct, 0), **costs})
    found = row(f"W1 chat, {RATE:.0f}/s", path, rounds)
    found.figures = [figure("added p50", rounds, 0.5, walls), figure("added p99", rounds, 0.99, walls)]
    if path in budgets.W1_CPU:
        p50, p99 = found.figures
        found.checks = [Check(budgets.W1_ADDED_P50, p50.router), Check(budgets.W1_ADDED_P99, p99.router)]
    return found


async def burst(bench: Bench, path: Path, connections: int) -> Row:
    """W2 in closed loop."""
    count = bench.effort.streams if connections > 1 else bench.effort.single_streams

    def load(side: str) -> Awaitable[Run]:
        return client.closed_loop(bench.stream(side, path, delay_ms=0), connections=connections, count=count)

    rounds = await by_turns(bench, path, load)
    found = row(f"W2 burst, {connections} at once", path, rounds)
    found.chunk_us = found.cpu_ms * 1000 / FRAMES
    found.figures = [figure("wall p50", rounds, 0.5, walls), figure("wall p99", rounds, 0.99, walls)]
    if connections > 1:
        found.checks = [Check(budgets.w2_cpu(path), found.cpu_ms, found.floor_ms)]
    else:
        found.checks = [Check(budgets.W2_WALL, found.figures[0].router)]
    return found


async def paced(bench: Bench, path: Path) -> Row:
    """W3: all streams at once, on the backend itself too."""

    async def load(side: str) -> Run:
        ask = bench.stream(side, path, delay_ms=PACE_MS)
        return await client.closed_loop(ask, connections=PACED, count=PACED)

    rounds = await by_turns(bench, path, load, turns=bench.effort.rounds, direct=True)
    found = row(f"W3 paced, {PACED} at once", path, rounds)
    found.chunk_us = found.cpu_ms * 1000 / FRAMES
    gap = figure("gap p99 over direct", rounds, 0.99, gaps)
    found.figures = [gap, figure("first frame p50 over direct", rounds, 0.5, firsts)]
    found.checks = [
        Check(budgets.W3_CPU, found.cpu_ms, found.floor_ms),
        Check(budgets.W3_GAP, gap.router),
    ]
    return found

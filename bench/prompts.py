"""The work W5: prompts of 400 KB, alone and beside other people's streams."""

import asyncio
from collections.abc import Callable

from bench import client, wire
from bench.client import Run
from bench.paths import Path
from bench.results import Figure, Row
from bench.turns import DIRECT, FLOOR, PEER, ROUTER, Bench, Load, by_turns, figure, gaps, row
from bench.wire import Ask
from bench.works import PACE_MS, PACED

SIZE = 400_000
KB = SIZE / 1000
CONNECTIONS = 4
BESIDE_PER_S = 10.0
BESIDE_S = 1.8  # a little less than the streams last


async def big_prompt(bench: Bench, path: Path) -> Row:
    """W5: what each KB costs, over a small request; and the gaps of W3's streams while 10 prompts a second come."""
    small = row("", path, await by_turns(bench, path, _alone(bench, lambda side: bench.chat(side, path))))
    large = await by_turns(bench, path, _alone(bench, lambda side: _big(bench, side, path)))
    found = row(f"W5 prompts of {KB:.0f} KB", path, large)
    found.figures = [
        Figure(
            "us per KB",
            router=(found.cpu_ms - small.cpu_ms) * 1000 / KB,
            floor=(found.floor_ms - small.floor_ms) * 1000 / KB,
            peer=(found.peer_ms - small.peer_ms) * 1000 / KB,
        )
    ]
    thorough = bench.effort.thorough
    beside = await by_turns(bench, path, lambda side: _beside(bench, side, path), turns=1, direct=thorough)
    found.figures.append(figure(f"W3 gap p99 meanwhile{' over direct' if thorough else ''}", beside, 0.99, gaps))
    for errors, side in ((found.errors, ROUTER), (found.floor_errors, FLOOR), (found.peer_errors, PEER)):
        errors.update(beside[0][side].run.errors if side in beside[0] else {})
    return found


def _big(bench: Bench, side: str, path: Path) -> Ask:
    return wire.big(bench.port(side), path, native=side in {DIRECT, FLOOR}, size=SIZE)


def _alone(bench: Bench, ask: Callable[[str], Ask]) -> Load:
    return lambda side: client.closed_loop(ask(side), connections=CONNECTIONS, count=bench.effort.large)


async def _beside(bench: Bench, side: str, path: Path) -> Run:
    """W3's streams, with the errors of the prompts that came meanwhile."""
    prompts = [_big(bench, side, path)]
    streams = bench.stream(side, path, delay_ms=PACE_MS)
    run, others = await asyncio.gather(
        client.closed_loop(streams, connections=PACED, count=PACED),
        client.fixed_rate(prompts, rate=BESIDE_PER_S, seconds=BESIDE_S),
    )
    run.errors.update(others[0].errors)
    return run

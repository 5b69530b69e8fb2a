"""The work W7: 500 streams at once, and the memory they take."""

import math

from bench import budgets, client
from bench.client import Run
from bench.paths import Path
from bench.results import Check, Figure, Row
from bench.turns import FLOOR, FRAMES, PEER, ROUTER, Bench, cost, figure, gaps, row

STREAMS = 500
PACE_MS = 50


async def many(bench: Bench, path: Path) -> Row:
    """W7: once on each side, five seconds long; a quick run leaves the floor out."""
    peaks: dict[str, float] = {}

    async def load(side: str) -> Run:
        tree = bench.server(side).tree
        tree.forget_peak()
        ask = bench.stream(side, path, delay_ms=PACE_MS)
        run = await client.closed_loop(ask, connections=STREAMS, count=STREAMS)
        peaks[side] = tree.peak_rss_mb()
        return run

    sides = [side for side in bench.sides(path) if side != FLOOR or bench.effort.thorough]
    one = {side: await cost(bench, side, load) for side in sides}
    found = row(f"W7 many, {STREAMS} streams", path, [one])
    found.chunk_us = found.cpu_ms * 1000 / FRAMES
    router, floor, peer = (peaks.get(side, math.nan) for side in (ROUTER, FLOOR, PEER))
    memory = Figure("peak MB", router=router, floor=floor, peer=peer)
    found.figures = [memory, figure("gap p99", [one], 0.99, gaps)]
    found.checks = [Check(budgets.W7_RSS, memory.router)]
    return found

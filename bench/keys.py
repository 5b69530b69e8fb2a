"""The work W10: callers with bad keys."""

import msgspec

from bench import budgets, client, wire
from bench.backend import Stats
from bench.client import Run
from bench.paths import OPENAI
from bench.results import Check, Row
from bench.turns import PEER, ROUTER, Bench, cost, row

CONNECTIONS = 8


async def bad_keys(bench: Bench) -> Row:
    """W10: CPU for each reject, another key each time, and what reaches the backend."""

    async def load(side: str) -> Run:
        asks = list(wire.bad_keys(bench.port(side), bench.effort.keys))
        return await client.closed_loop(asks, connections=CONNECTIONS, count=bench.effort.keys)

    before = await _generations(bench)
    one = {ROUTER: await cost(bench, ROUTER, load)}
    calls = await _generations(bench) - before
    if PEER in bench.sides(OPENAI):
        one[PEER] = await cost(bench, PEER, load)
    found = row(f"W10 keys, {bench.effort.keys} bad ones", OPENAI, [one])
    found.checks = [Check(budgets.W10_CALLS, calls)]
    return found


async def _generations(bench: Bench) -> int:
    _, body = await client.get(bench.backend.port, "/bench/stats")
    return msgspec.json.decode(body, type=Stats).generations

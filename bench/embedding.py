"""The work W4: 1 MB of embeddings, whose digits are nobody's to change."""

from collections import Counter

import msgspec

from bench import budgets, client, vectors, wire
from bench.client import Link, Run, connect
from bench.paths import OPENAI, Path
from bench.results import Check, Row
from bench.turns import DIRECT, FLOOR, PEER, Bench, Cost, by_turns, cost, row
from bench.wire import Ask

CONNECTIONS = 4


async def embeddings(bench: Bench, path: Path) -> Row:
    """W4: each side's first answer is held to the backend's floats, and in pass-through to its very bytes."""
    asks: dict[str, Ask] = {}
    wrong: dict[str, Counter[str]] = {}
    for side in (DIRECT, *bench.sides(path)):
        asks[side] = ask = _ask(bench, side, path)
        wrong[side] = (await cost(bench, side, lambda _, ask=ask: _first(ask))).run.errors

    async def load(side: str) -> Run:
        return await client.closed_loop(asks[side], connections=CONNECTIONS, count=bench.effort.large)

    rounds = await by_turns(bench, path, load)
    rounds[0] = {side: _with(one, wrong[side]) for side, one in rounds[0].items()}
    found = row(f"W4 embeddings, {CONNECTIONS} at once", path, rounds)
    if path == OPENAI:
        found.checks = [Check(budgets.W4_CPU, found.cpu_ms, found.floor_ms)]
    return found


def _ask(bench: Bench, side: str, path: Path) -> Ask:
    ask = wire.embeddings(bench.port(side), path, native=side in {DIRECT, FLOOR})
    return msgspec.structs.replace(ask, body=None) if side == PEER else ask


async def _first(ask: Ask) -> Run:
    """One answer, its floats compared with the backend's; where its bytes are known, they are compared by the load."""
    link = await connect(ask.port, Link)
    run = await client.once(ask, link=link)
    if ask.body is None and run.done and (wrong := vectors.fault(b"".join(link.parts))):
        run.errors[wrong] += 1
    return run


def _with(one: Cost, errors: Counter[str]) -> Cost:
    return Cost(msgspec.structs.replace(one.run, errors=one.run.errors + errors), one.cpu_s)

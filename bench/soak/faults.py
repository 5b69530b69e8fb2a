"""Backends that fail at random: another fault every moment, set through the fakes' control plane."""

import asyncio
from collections.abc import Mapping, Sequence
from random import Random

import aiohttp

STATUSES = (400, 401, 404, 408, 413, 429, 500, 502, 503, 529)
CONTROL_S = 5.0


def random_fault(random: Random) -> Mapping[str, object]:
    """The fields of one fault; some of the time none."""
    frame = random.randint(0, 6)
    choices: list[dict[str, object]] = [
        {},
        {},
        {"status": random.choice(STATUSES)},
        {"status": 429, "headers": {"Retry-After": "1"}},
        {"status": 502, "body": "<html>bad gateway</html>", "headers": {"Content-Type": "text/html"}},
        {"hang_before_headers": True},
        {"first_byte_delay_s": random.uniform(0, 0.5)},
        {"chunk_delay_s": random.uniform(0, 0.05)},
        {"stall_after": frame},
        {"drop_after": frame},
        {"end_after": frame},
        {"bad_json_at": frame},
        {"error_at": frame},
        {"missing_end": True},
        {"ignore_stream": True},
        {"health": random.choice(("fail", "hang", "loading"))},
    ]
    fault = random.choice(choices)
    if fault and "health" not in fault:
        fault["flaky"] = random.uniform(0.1, 0.6)
    return fault


async def keep_failing(session: aiohttp.ClientSession, urls: Sequence[str], random: Random) -> None:
    """Give one backend after another a new fault, until cancelled."""
    while True:
        await set_fault(session, random.choice(urls), random_fault(random))
        await asyncio.sleep(random.uniform(0.05, 0.3))


async def set_fault(session: aiohttp.ClientSession, url: str, fault: Mapping[str, object]) -> None:
    """Replace a fake's fault; an empty one clears it."""
    timeout = aiohttp.ClientTimeout(total=CONTROL_S)
    async with session.put(f"{url}/__fake/faults", json=fault, timeout=timeout) as answer:
        answer.raise_for_status()


async def in_flight(session: aiohttp.ClientSession, url: str) -> int:
    """The requests that a fake is answering just now."""
    async with session.get(f"{url}/__fake/state", timeout=aiohttp.ClientTimeout(total=CONTROL_S)) as answer:
        return int((await answer.json())["in_flight"])

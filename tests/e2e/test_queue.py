"""Waiting for the slots of a real llama.cpp."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from router import embedded
from tests.e2e.real_llama import real_llama
from tests.running import RunningRouter, running
from tests.surfaces.asking import eventually, idle, streamed

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not embedded.available(), reason="needs the extra `demo`")]

SLOTS = 2


@pytest.fixture
async def r(anyio_backend) -> AsyncIterator[RunningRouter]:
    async with real_llama(parallel=SLOTS) as llama:
        config = {
            "server": {"keepalive_s": 0.05},
            "backends": {"box": {"type": "llama_cpp", "url": llama.url}},
        }
        async with running(config) as r:
            yield r


async def test_the_slots_fill_and_the_others_queue_and_all_are_answered(r):
    (lane,) = (await r.client.get("/v1/router/queue")).json()["lanes"]
    assert lane["backends"][0]["max_parallel"] == SLOTS
    asking = [asyncio.create_task(streamed(r.client, "box/smollm2", max_tokens=24)) for _ in range(6)]
    busiest, longest = 0, 0
    while not all(task.done() for task in asking):
        report = (await r.client.get("/v1/router/queue")).json()
        busiest, longest = max(busiest, report["in_flight"]), max(longest, report["waiting"])
        await asyncio.sleep(0.01)
    answers = [task.result() for task in asking]
    assert (busiest, longest) == (SLOTS, 6 - SLOTS)
    assert all(answer.done and answer.text for answer in answers)
    assert sum(b": queued position=" in answer.raw for answer in answers) >= 1
    await eventually(lambda: idle(r))
    assert (await r.client.get("/v1/router/queue")).json()["in_flight"] == 0


async def test_who_leaves_the_queue_of_a_real_server_leaves_it_to_the_next(r):
    asking = [asyncio.create_task(streamed(r.client, "box/smollm2", max_tokens=16)) for _ in range(4)]
    async with asyncio.timeout(20):
        while (await r.client.get("/v1/router/queue")).json()["waiting"] != 2:
            await asyncio.sleep(0.01)
    asking[2].cancel()
    await asyncio.wait((asking[2],))
    answers = [await task for task in (asking[0], asking[1], asking[3])]
    assert all(answer.done for answer in answers)
    await eventually(lambda: idle(r))

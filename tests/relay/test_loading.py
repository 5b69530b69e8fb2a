"""A model that has to be loaded first: waited for as long as that may take, and no failure."""

import asyncio

import pytest

from router.routing.health import State
from tests.fakes import FakeBackend, FakeModel, Faults
from tests.running import running
from tests.surfaces.asking import CHAT, alias, asked, backends, calling, error_of, eventually, idle, streamed

pytestmark = pytest.mark.anyio

LOADING = Faults(health="loading")
COLD = FakeModel("cold:latest", loaded=False)


async def test_a_llama_cpp_that_loads_is_waited_for():
    async with FakeBackend(flavour="llama_cpp") as llama:
        llama.faults = LOADING
        async with running({"backends": backends({"llama": llama})}) as r:
            asking = asyncio.create_task(streamed(r.client, "llama/smollm2"))
            await llama.until(lambda: len(llama.requests) == 1)
            await llama.until(lambda: len(llama.probes) >= 3)
            assert not asking.done()
            llama.faults = Faults()
            answer = await asking
            assert r.router.fleet.health["llama"].state is State.UP
    assert (answer.text, answer.done, answer.headers["x-turnout-attempts"]) == (llama.reply, True, "1")


async def test_waiting_for_a_load_leaves_first_token_alone():
    async with FakeBackend(flavour="llama_cpp") as llama:
        llama.faults = LOADING
        limits = {"first_token": 0.1, "load": 5}
        async with running({"backends": backends({"llama": llama}, timeouts=limits)}) as r:
            asking = asyncio.create_task(streamed(r.client, "llama/smollm2"))
            began = asyncio.get_running_loop().time()
            await llama.until(lambda: asyncio.get_running_loop().time() - began > 0.25 and len(llama.probes) > 2)
            llama.faults = Faults(first_byte_delay_s=0.02)
            assert (await asking).done


async def test_a_load_that_takes_too_long_is_given_up():
    async with FakeBackend(flavour="llama_cpp") as llama:
        llama.faults = LOADING
        async with running({"backends": backends({"llama": llama}, timeouts={"load": 0.25})}) as r:
            response = await r.client.post(CHAT, json=asked("llama/smollm2"))
            assert idle(r)
    assert (response.status_code, error_of(response)["code"]) == (503, "backend_loading")
    assert response.headers["retry-after"] == "5"


async def test_somebody_who_is_ready_is_asked_instead():
    async with FakeBackend(flavour="llama_cpp") as llama, FakeBackend(flavour="openai", reply="b") as other:
        config = {
            "backends": backends({"llama": llama, "other": other}),
            "models": alias("both", "llama/smollm2", "other/fake-chat"),
        }
        async with running(config) as r:
            llama.faults = LOADING
            answer = await streamed(r.client, "both")
            assert r.router.fleet.health["llama"].state is State.UP
    assert (answer.text, answer.headers["x-turnout-attempts"]) == ("b", "2")


async def test_the_one_that_loads_is_waited_for_when_the_others_fail():
    async with FakeBackend(flavour="llama_cpp") as llama, FakeBackend(flavour="openai") as other:
        config = {
            "backends": backends({"llama": llama, "other": other}),
            "models": alias("both", "llama/smollm2", "other/fake-chat"),
        }
        async with running(config) as r:
            llama.faults, other.faults = LOADING, Faults(status=500)
            asking = asyncio.create_task(streamed(r.client, "both"))
            await llama.until(lambda: len(llama.requests) == 2)
            llama.faults = Faults()
            assert (await asking).text == llama.reply


async def test_a_client_who_leaves_during_a_load_is_forgotten():
    async with FakeBackend(flavour="llama_cpp") as llama:
        llama.faults = LOADING
        async with (
            running({"backends": backends({"llama": llama}, max_parallel=1)}) as r,
            calling(r, body=asked("llama/smollm2", stream=True)) as caller,
        ):
            await llama.until(lambda: len(llama.requests) == 1)
            caller.leave()
            await eventually(lambda: idle(r))


async def test_many_who_wait_look_together():
    async with FakeBackend(flavour="llama_cpp") as llama:
        llama.faults = LOADING
        async with running({"backends": backends({"llama": llama}, max_parallel=20)}) as r:
            asking = [asyncio.create_task(streamed(r.client, "llama/smollm2")) for _ in range(20)]
            await llama.until(lambda: len(llama.requests) == 20)
            seen = len(llama.probes)
            await llama.until(lambda: len(llama.probes) >= seen + 2)
            assert len(llama.probes) < seen + 10
            llama.faults = Faults()
            assert {answer.text for answer in await asyncio.gather(*asking)} == {llama.reply}


async def test_an_ollama_gets_the_time_to_load_a_model_that_is_not_in_memory():
    async with FakeBackend([COLD, FakeModel("warm:latest")]) as ollama:
        ollama.load_s = 0.3
        limits = {"first_token": 0.1, "load": 5}
        async with running({"backends": backends({"ollama": ollama}, timeouts=limits)}) as r:
            answer = await streamed(r.client, "ollama/cold")
            again = await streamed(r.client, "ollama/cold")
    assert (answer.text, answer.done, again.done) == (ollama.reply, True, True)


async def test_a_model_in_memory_gets_no_more_time_than_first_token():
    async with FakeBackend([FakeModel("warm:latest")]) as ollama:
        ollama.faults = Faults(first_byte_delay_s=0.3)
        limits = {"first_token": 0.05, "load": 5}
        async with running({"backends": backends({"ollama": ollama}, timeouts=limits)}) as r:
            response = await r.client.post(CHAT, json=asked("ollama/warm"))
    assert (response.status_code, error_of(response)["code"]) == (504, "backend_timeout")


async def test_once_it_has_answered_a_model_counts_as_loaded():
    async with FakeBackend([COLD]) as ollama:
        ollama.load_s = 0.05
        limits = {"first_token": 0.1, "load": 5}
        async with running({"backends": backends({"ollama": ollama}, timeouts=limits)}) as r:
            assert (await streamed(r.client, "ollama/cold")).done
            ollama.faults = Faults(first_byte_delay_s=0.5)
            response = await r.client.post(CHAT, json=asked("ollama/cold"))
    assert response.status_code == 504

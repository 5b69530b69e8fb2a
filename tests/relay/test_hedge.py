"""A second candidate that competes for the first token."""

import asyncio

import pytest

from router.routing.health import State
from tests.fakes import FakeBackend, FakeModel, Faults
from tests.running import running
from tests.surfaces.asking import CHAT, alias, asked, backends, calling, eventually, idle, streamed, take_down

pytestmark = pytest.mark.anyio

SOON_S = 0.05
SLOW = Faults(first_byte_delay_s=0.6)


@pytest.fixture
async def fakes(anyio_backend):
    async with FakeBackend(flavour="openai", reply="I am a.") as a, FakeBackend(flavour="openai", reply="I am b.") as b:
        yield {"a": a, "b": b}


def config(fakes, **more):
    hedged = alias("both", *(f"{name}/fake-chat" for name in fakes), hedge_after=SOON_S)
    return {"backends": backends(fakes, **more), "models": hedged}


async def test_the_second_wins_and_the_first_is_cancelled_at_once(fakes):
    fakes["a"].faults = SLOW
    async with running(config(fakes, max_parallel=1)) as r:
        answer = await streamed(r.client, "both")
        ended = asyncio.get_running_loop().time()
        await fakes["a"].until(lambda: len(fakes["a"].disconnects) == 1)
        assert fakes["a"].disconnects[0] - ended < 0.1
        assert idle(r)
        assert r.router.fleet.health["a"].state is State.UP
        metrics = (await r.client.get("/metrics")).text
    assert (answer.text, answer.done) == ("I am b.", True)
    assert (answer.headers["x-turnout-backend"], answer.headers["x-turnout-attempts"]) == ("b", "2")
    assert answer.headers["x-turnout-reason"] == "alias both, hedged"
    assert 'turnout_hedges_total{backend="b",second="won"} 1.0' in metrics
    assert "turnout_failed_attempts_total{" not in metrics


async def test_the_first_may_still_win(fakes):
    fakes["a"].faults, fakes["b"].faults = Faults(first_byte_delay_s=0.15), SLOW
    async with running(config(fakes)) as r:
        answer = await streamed(r.client, "both")
        await fakes["b"].until(lambda: len(fakes["b"].disconnects) == 1)
        assert idle(r)
        assert r.router.fleet.health["b"].state is State.UP
        metrics = (await r.client.get("/metrics")).text
    assert (answer.text, answer.headers["x-turnout-backend"]) == ("I am a.", "a")
    assert 'turnout_hedges_total{backend="a",second="lost"} 1.0' in metrics


async def test_nobody_competes_with_an_answer_that_comes_in_time(fakes):
    async with running(config(fakes)) as r:
        answer = await streamed(r.client, "both")
    assert (answer.text, answer.headers["x-turnout-attempts"]) == ("I am a.", "1")
    assert fakes["b"].requests == []


async def test_a_slow_stream_that_has_begun_is_left_alone(fakes):
    fakes["a"].faults = Faults(chunk_delay_s=0.2)
    settings = config(fakes)
    settings["models"]["both"]["hedge_after"] = 0.5
    async with running(settings) as r:
        answer = await streamed(r.client, "both")
    assert (answer.text, answer.done, fakes["b"].requests) == ("I am a.", True, [])


async def test_a_whole_answer_is_asked_for_once(fakes):
    fakes["a"].faults = Faults(first_byte_delay_s=0.15)
    async with running(config(fakes)) as r:
        response = await r.client.post(CHAT, json=asked("both"))
    assert (response.headers["x-turnout-backend"], fakes["b"].requests) == ("a", [])


async def test_a_busy_backend_is_no_rival(fakes):
    fakes["a"].faults, fakes["b"].faults = Faults(first_byte_delay_s=0.2), Faults(stall_after=0)
    async with (
        running(config(fakes, max_parallel=1)) as r,
        calling(r, body=asked("b/fake-chat", stream=True)),
    ):
        await fakes["b"].until(lambda: fakes["b"].in_flight == 1)
        assert (await streamed(r.client, "both")).text == "I am a."
    assert len(fakes["b"].requests) == 1


async def test_a_backend_that_is_down_is_no_rival(fakes):
    fakes["a"].faults = Faults(first_byte_delay_s=0.2)
    async with running(config(fakes)) as r:
        await take_down(r, "b")
        assert (await streamed(r.client, "both")).text == "I am a."
    assert fakes["b"].requests == []


async def test_who_has_to_load_the_model_first_is_no_rival():
    cold = FakeModel("m:latest", loaded=False)
    async with FakeBackend([FakeModel("m:latest")], reply="I am a.") as a, FakeBackend([cold]) as b:
        a.faults = Faults(first_byte_delay_s=0.2)
        models = alias("both", "a/m", "b/m", hedge_after=SOON_S)
        async with running({"backends": backends({"a": a, "b": b}), "models": models}) as r:
            assert (await streamed(r.client, "both")).text == "I am a."
        assert b.requests == []


async def test_someone_who_becomes_idle_later_competes_then(fakes):
    fakes["a"].faults, fakes["b"].faults = Faults(first_byte_delay_s=5), Faults(stall_after=0, times=1)
    async with (
        running(config(fakes, max_parallel=1)) as r,
        calling(r, body=asked("b/fake-chat", stream=True)) as other,
    ):
        await fakes["b"].until(lambda: fakes["b"].in_flight == 1)
        asking = asyncio.create_task(streamed(r.client, "both"))
        await fakes["a"].until(lambda: fakes["a"].in_flight == 1)
        other.leave()
        assert (await asking).text == "I am b."


async def test_a_rival_that_fails_costs_the_first_nothing(fakes):
    fakes["a"].faults, fakes["b"].faults = Faults(first_byte_delay_s=0.2), Faults(status=500)
    async with running(config(fakes)) as r:
        answer = await streamed(r.client, "both")
        assert r.router.fleet.health["b"].state is State.DOWN
        assert r.router.fleet.health["a"].state is State.UP
        assert idle(r)
    assert (answer.text, answer.done) == ("I am a.", True)


async def test_when_the_first_fails_the_rival_answers(fakes):
    fakes["a"].faults = Faults(first_byte_delay_s=0.15, status=500)
    fakes["b"].faults = Faults(first_byte_delay_s=0.3)
    async with running(config(fakes)) as r:
        answer = await streamed(r.client, "both")
        assert r.router.fleet.health["a"].state is State.DOWN
    assert (answer.text, answer.headers["x-turnout-attempts"]) == ("I am b.", "2")
    assert len(fakes["b"].requests) == 1


async def test_when_both_fail_the_client_is_told_once(fakes):
    fakes["a"].faults = Faults(first_byte_delay_s=0.15, status=500)
    fakes["b"].faults = Faults(first_byte_delay_s=0.2, status=500)
    async with running(config(fakes)) as r:
        answer = await streamed(r.client, "both")
        assert idle(r)
    assert answer.status == 502


async def test_a_client_who_leaves_a_race_is_forgotten_by_both(fakes):
    fakes["a"].faults = fakes["b"].faults = Faults(stall_after=0)
    async with running(config(fakes)) as r, calling(r, body=asked("both", stream=True)) as caller:
        await fakes["b"].until(lambda: fakes["b"].in_flight == 1)
        left = asyncio.get_running_loop().time()
        caller.leave()
        for fake in fakes.values():
            await fake.until(lambda fake=fake: len(fake.disconnects) == 1)
            assert fake.disconnects[0] - left < 0.1
        await eventually(lambda: idle(r))


async def test_the_deadline_of_the_request_ends_a_race(fakes):
    fakes["a"].faults = fakes["b"].faults = Faults(stall_after=0)
    async with running(config(fakes, timeouts={"total": 0.2})) as r:
        answer = await streamed(r.client, "both")
        assert idle(r)
    assert answer.status == 504


async def test_races_are_within_the_budget_of_further_attempts(fakes):
    fakes["a"].faults = Faults(first_byte_delay_s=0.3)
    async with running(config(fakes)) as r:
        answers = await asyncio.gather(*(streamed(r.client, "both") for _ in range(10)))
        assert idle(r)
    assert {answer.done for answer in answers} == {True}
    assert len(fakes["b"].requests) == 3

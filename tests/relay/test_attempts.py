"""The relay's decisions: whom to ask, how often, for how long, and what backends are remembered for."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from router.routing.health import State
from tests.fakes import FakeBackend, Faults
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, calling, error_of, eventually, idle, streamed, take_down

pytestmark = pytest.mark.anyio

NAMES = ("a", "b", "c", "d")


@pytest.fixture
async def fakes(anyio_backend) -> AsyncIterator[dict[str, FakeBackend]]:
    """Four backends that differ in what they say."""
    fakes = {name: FakeBackend(flavour="openai", reply=name) for name in NAMES}
    for fake in fakes.values():
        await fake.start()
    yield fakes
    for fake in fakes.values():
        await fake.stop()


@pytest.fixture
async def r(fakes) -> AsyncIterator[RunningRouter]:
    """An alias `all` over the four, in order."""
    config = {"backends": backends(fakes), "models": alias("all", *(f"{name}/fake-chat" for name in fakes))}
    async with running(config) as r:
        yield r


def asked_of(fakes: dict[str, FakeBackend]) -> str:
    return "".join(name for name, fake in fakes.items() for _ in fake.requests)


async def test_targets_are_asked_in_order_until_one_answers(r, fakes):
    fakes["a"].faults = fakes["b"].faults = Faults(status=500)
    answer = await streamed(r.client, "all")
    assert (answer.text, answer.headers["x-turnout-attempts"]) == ("c", "3")


async def test_no_more_than_three_attempts_are_made(r, fakes):
    for fake in fakes.values():
        fake.faults = Faults(status=500)
    response = await r.client.post(CHAT, json=asked("all"))
    assert response.status_code == 502
    assert error_of(response)["code"] == "backend_error"
    assert response.headers["x-turnout-attempts"] == "3"
    assert asked_of(fakes) == "abc"


async def test_a_backend_that_is_down_is_left_out(r, fakes):
    await take_down(r, "a")
    answer = await streamed(r.client, "all")
    assert (answer.text, answer.headers["x-turnout-attempts"]) == ("b", "1")
    assert fakes["a"].requests == []


async def test_with_everything_down_everything_is_tried_in_order(r, fakes):
    await take_down(r, *NAMES)
    fakes["a"].faults = Faults(status=500)
    answer = await streamed(r.client, "all")
    assert answer.text == "b"
    assert asked_of(fakes) == "ab"


async def test_a_backend_that_answers_is_up_again(r, fakes):
    await take_down(r, *NAMES)
    await streamed(r.client, "all")
    assert r.router.fleet.health["a"].state is State.UP


async def test_a_look_earns_a_failed_backend_one_trial(r, fakes):
    await take_down(r, "a")
    await r.looked()
    assert r.router.fleet.health["a"].state is State.HALF_OPEN
    answer = await streamed(r.client, "all")
    assert answer.text == "a"
    assert r.router.fleet.health["a"].state is State.UP


async def test_only_one_request_at_a_time_tries_a_recovering_backend(r, fakes):
    await take_down(r, "a")
    await r.looked()
    fakes["a"].faults = Faults(stall_after=0)
    async with calling(r, body=asked("all", stream=True)):
        await fakes["a"].until(lambda: fakes["a"].in_flight == 1)
        others = await asyncio.gather(*(streamed(r.client, "all") for _ in range(5)))
    assert {answer.text for answer in others} == {"b"}
    assert len(fakes["a"].requests) == 1


async def test_a_trial_that_the_client_abandons_lets_the_next_one_try(r, fakes):
    await take_down(r, "a")
    await r.looked()
    fakes["a"].faults = Faults(stall_after=0, times=1)
    async with calling(r, body=asked("all", stream=True)) as caller:
        await fakes["a"].until(lambda: fakes["a"].in_flight == 1)
        caller.leave()
        await eventually(lambda: idle(r))
    assert (await streamed(r.client, "all")).text == "a"


async def test_a_failed_trial_goes_on_to_the_next_target(r, fakes):
    await take_down(r, "a")
    await r.looked()
    fakes["a"].faults = Faults(status=500)
    answer = await streamed(r.client, "all")
    assert (answer.text, r.router.fleet.health["a"].state) == ("b", State.DOWN)


@pytest.fixture
async def twice(fakes) -> AsyncIterator[RunningRouter]:
    """An alias with two models on `a`, then one on `b`."""
    targets = ("a/fake-chat", "a/fake-embed", "b/fake-chat")
    async with running({"backends": backends(fakes), "models": alias("all", *targets)}) as r:
        yield r


async def test_another_model_of_a_failed_backend_comes_after_all_others(twice, fakes):
    fakes["a"].faults = Faults(status=500)
    answer = await streamed(twice.client, "all")
    assert (answer.text, asked_of(fakes)) == ("b", "ab")


async def test_another_model_of_a_busy_backend_keeps_its_place(twice, fakes):
    fakes["a"].faults = Faults(status=429, times=1)
    answer = await streamed(twice.client, "all")
    assert (answer.text, asked_of(fakes)) == ("a", "aa")


async def test_a_stopped_backend_is_tried_three_times_and_then_given_up(fakes):
    async with running({"backends": backends({"a": fakes["a"]})}) as r:
        await fakes["a"].stop()
        response = await r.client.post(CHAT, json=asked("a/fake-chat"))
    assert response.status_code == 502
    assert error_of(response)["code"] == "backend_unreachable"
    assert response.headers["x-turnout-attempts"] == "3"


async def test_one_deadline_holds_for_all_attempts(fakes):
    for name in ("a", "b"):
        fakes[name].faults = Faults(hang_before_headers=True)
    limits = {"first_token": 0.1, "total": 0.15}
    config = {"backends": backends(fakes, timeouts=limits), "models": alias("all", "a/fake-chat", "b/fake-chat")}
    async with running(config) as r:
        began = asyncio.get_running_loop().time()
        response = await r.client.post(CHAT, json=asked("all"))
        took = asyncio.get_running_loop().time() - began
    assert response.status_code == 504
    assert error_of(response)["code"] == "backend_timeout"
    assert 0.15 <= took < 0.5
    assert asked_of(fakes) == "ab"


async def test_the_deadline_also_ends_a_stream_that_goes_on_and_on(fakes):
    fakes["a"].reply = "word " * 2000
    fakes["a"].faults = Faults(chunk_delay_s=0.01)
    async with running({"backends": backends({"a": fakes["a"]}, timeouts={"total": 1.5})}) as r:
        answer = await streamed(r.client, "a/fake-chat")
        await fakes["a"].until(lambda: fakes["a"].in_flight == 0)
    assert answer.text.startswith("word word")
    assert [error["code"] for error in answer.errors] == ["backend_timeout"]
    assert not answer.done
    assert len(fakes["a"].disconnects) == 1


async def test_the_first_token_has_its_own_limit(fakes):
    fakes["a"].faults = Faults(first_byte_delay_s=0.3)
    async with running({"backends": backends({"a": fakes["a"]}, timeouts={"first_token": 0.05})}) as r:
        response = await r.client.post(CHAT, json=asked("a/fake-chat"))
    assert (response.status_code, error_of(response)["code"]) == (504, "backend_timeout")


async def test_a_slow_start_within_its_limit_is_no_fault(fakes):
    fakes["a"].faults = Faults(first_byte_delay_s=0.05)
    limits = {"first_token": 2, "idle": 0.04}
    async with running({"backends": backends({"a": fakes["a"]}, timeouts=limits)}) as r:
        answer = await streamed(r.client, "a/fake-chat")
    assert (answer.text, answer.done) == ("a", True)


@pytest.mark.parametrize("stream", [False, True])
async def test_slots_are_free_again_after_every_kind_of_end(fakes, stream):
    fake = fakes["a"]
    ends = [Faults(), Faults(status=500), Faults(status=400), Faults(drop_after=0), Faults(drop_after=2),
            Faults(end_after=1), Faults(bad_json_at=0), Faults(stall_after=1), Faults(error_at=2)]  # fmt: skip
    limits = {"first_token": 0.1, "idle": 0.05}
    async with running({"backends": backends({"a": fake}, max_parallel=1, timeouts=limits)}) as r:
        for faults in ends:
            fake.faults = faults
            await r.client.post(CHAT, json=asked("a/fake-chat", stream=stream))
            assert idle(r)
        fake.faults = Faults()
        assert (await streamed(r.client, "a/fake-chat")).text == "a"


async def test_no_more_than_max_parallel_requests_run_at_once(fakes):
    fakes["a"].faults = Faults(first_byte_delay_s=0.005)
    async with running({"backends": backends({"a": fakes["a"]}, max_parallel=2)}) as r:
        answers = await asyncio.gather(*(streamed(r.client, "a/fake-chat") for _ in range(20)))
        assert idle(r)
    assert {answer.text for answer in answers} == {"a"}
    assert fakes["a"].peak_in_flight == 2


async def test_what_one_target_drops_is_not_told_of_another(fakes):
    async with FakeBackend() as ollama:
        ollama.faults = Faults(status=500)
        config = {
            "backends": backends({"ollama": ollama, "a": fakes["a"]}),
            "models": alias("all", "ollama/llama3.2", "a/fake-chat"),
        }
        async with running(config) as r:
            response = await r.client.post(CHAT, json=asked("all", service_tier="flex"))
    assert response.headers["x-turnout-backend"] == "a"
    assert "x-turnout-dropped" not in response.headers


async def test_what_a_target_cannot_say_goes_to_one_that_can(fakes):
    async with FakeBackend() as ollama:
        config = {
            "backends": backends({"ollama": ollama, "a": fakes["a"]}),
            "models": alias("all", "ollama/llama3.2", "a/fake-chat"),
        }
        async with running(config) as r:
            response = await r.client.post(CHAT, json=asked("all", n=2))
    assert response.headers["x-turnout-backend"] == "a"
    assert ollama.requests == []

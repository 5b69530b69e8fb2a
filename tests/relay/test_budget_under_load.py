"""The budget of further attempts where it matters: a fleet that dies, in part or as a whole."""

import asyncio
from collections import Counter

import pytest

from tests.fakes import FakeBackend, Faults
from tests.running import running
from tests.surfaces.asking import CHAT, alias, asked, backends, error_of, idle, streamed

pytestmark = pytest.mark.anyio

MANY = 60


async def test_the_second_of_two_backends_takes_over_everything_when_the_first_dies_under_load():
    async with FakeBackend(flavour="openai") as a, FakeBackend(flavour="openai", reply="b") as b:
        a.faults = Faults(first_byte_delay_s=0.05, status=500)
        config = {"backends": backends({"a": a, "b": b}), "models": alias("both", "a/fake-chat", "b/fake-chat")}
        async with running(config) as r:
            answers = await asyncio.gather(*(streamed(r.client, "both") for _ in range(MANY)))
            assert {(answer.text, answer.done) for answer in answers} == {("b", True)}
            assert idle(r)
        assert len(a.requests) > 20
        assert len(b.requests) == MANY


async def test_a_fleet_that_is_dead_is_hardly_asked_more_often_than_clients_ask():
    async with FakeBackend(flavour="openai") as a, FakeBackend(flavour="openai") as b:
        a.faults = b.faults = Faults(status=500)
        config = {"backends": backends({"a": a, "b": b}), "models": alias("both", "a/fake-chat", "b/fake-chat")}
        async with running(config) as r:
            for _ in range(MANY):
                response = await r.client.post(CHAT, json=asked("both"))
                assert (response.status_code, error_of(response)["code"]) == (502, "backend_error")
            metrics = (await r.client.get("/metrics")).text
        assert MANY <= len(a.requests) + len(b.requests) <= MANY * 1.2 + 3
        assert "turnout_retry_budget_spent_total{" in metrics


async def test_busy_backends_are_not_hammered_either():
    async with FakeBackend(flavour="openai") as a, FakeBackend(flavour="openai") as b:
        a.faults = b.faults = Faults(status=429, headers={"Retry-After": "7"})
        config = {"backends": backends({"a": a, "b": b}), "models": alias("both", "a/fake-chat", "b/fake-chat")}
        async with running(config) as r:
            responses = [await r.client.post(CHAT, json=asked("both")) for _ in range(MANY)]
        assert Counter(response.status_code for response in responses) == {429: MANY}
        assert {response.headers["retry-after"] for response in responses} == {"7"}
        assert len(a.requests) + len(b.requests) <= MANY * 1.2 + 3


async def test_what_a_target_cannot_be_told_costs_nothing_of_the_budget():
    async with FakeBackend() as ollama, FakeBackend(flavour="openai", reply="b") as b:
        config = {
            "backends": backends({"ollama": ollama, "b": b}),
            "models": alias("both", "ollama/llama3.2", "b/fake-chat"),
        }
        async with running(config) as r:
            responses = [await r.client.post(CHAT, json=asked("both", n=2)) for _ in range(10)]
        assert {response.status_code for response in responses} == {200}

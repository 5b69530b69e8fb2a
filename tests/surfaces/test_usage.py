"""What an answer cost: counted by the backend, or an estimate that says so, over every kind of backend."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.fakes import FakeBackend, Scripted
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, streamed
from tests.surfaces.test_chat import MODELS

pytestmark = pytest.mark.anyio

EMBED = "/v1/embeddings"
WANTED = {"stream_options": {"include_usage": True}}
ESTIMATE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "estimated": True}
"""Two words in one message; "Hello from the fake." in five tokens."""


@pytest.fixture(params=["ollama", "openai", "llama_cpp"])
async def fake(request, anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour=request.param) as fake:
        yield fake


@pytest.fixture
async def r(fake) -> AsyncIterator[RunningRouter]:
    async with running(
        {"backends": backends({"desk": fake}), "models": alias("a", f"desk/{MODELS[fake.flavour]}")}
    ) as r:
        yield r


async def test_a_count_of_the_backend_is_exact(r):
    response = await r.client.post(CHAT, json=asked("a"))
    assert response.headers["x-turnout-usage"] == "exact"
    assert {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}.items() <= response.json()["usage"].items()
    assert "estimated" not in response.json()["usage"]
    assert not r.router.tokenizer.is_running


async def test_what_the_backend_did_not_count_is_estimated_and_says_so(r, fake):
    fake.counts = False
    response = await r.client.post(CHAT, json=asked("a"))
    assert response.headers["x-turnout-usage"] == "estimated"
    assert response.json()["usage"] == ESTIMATE
    assert response.json()["choices"][0]["message"]["content"] == fake.reply


async def test_a_stream_asked_for_usage_ends_with_an_estimate_when_nobody_counted(r, fake):
    fake.counts = False
    answer = await streamed(r.client, "a", **WANTED)
    assert answer.usages == [ESTIMATE]
    assert answer.chunks[-1]["usage"] == ESTIMATE
    assert (answer.chunks[-1]["choices"], answer.text, answer.done) == ([], fake.reply, True)
    assert "x-turnout-usage" not in answer.headers


async def test_a_stream_that_was_counted_says_only_that(r):
    (usage,) = (await streamed(r.client, "a", **WANTED)).usages
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (2, 4)
    assert "estimated" not in usage
    assert not r.router.tokenizer.is_running


async def test_a_stream_that_is_not_asked_counts_nothing(r, fake):
    fake.counts = False
    answer = await streamed(r.client, "a")
    assert (answer.usages, answer.text, answer.done) == ([], fake.reply, True)
    assert not r.router.tokenizer.is_running


async def test_a_tool_call_and_the_tools_are_in_the_estimate(r, fake):
    fake.counts = False
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
    question = [{"role": "user", "content": "weather?"}]
    plain = (await r.client.post(CHAT, json=asked("a", tools=tools))).json()["usage"]
    calling = (await r.client.post(CHAT, json={**asked("a", tools=tools), "messages": question})).json()["usage"]
    assert plain["prompt_tokens"] > ESTIMATE["prompt_tokens"]
    assert calling["completion_tokens"] > 10


async def test_embeddings_say_who_counted(fake):
    model = {"ollama": "nomic-embed-text", "openai": "fake-embed", "llama_cpp": "smollm2"}[fake.flavour]
    async with running({"backends": backends({"desk": fake})}) as r:
        body = {"model": f"desk/{model}", "input": ["hello world", "hello"]}
        exact = await r.client.post(EMBED, json=body)
        fake.counts = False
        estimated = await r.client.post(EMBED, json=body)
    assert (exact.headers["x-turnout-usage"], estimated.headers["x-turnout-usage"]) == ("exact", "estimated")
    assert exact.json()["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert estimated.json()["usage"] == {"prompt_tokens": 3, "total_tokens": 3, "estimated": True}
    assert estimated.json()["data"] == exact.json()["data"]


@pytest.fixture
async def desk(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai") as fake:
        yield fake


@pytest.fixture
async def one(desk) -> AsyncIterator[RunningRouter]:
    async with running({"backends": backends({"desk": desk}), "models": alias("a", "desk/fake-chat")}) as r:
        yield r


def whole(**more) -> dict:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hello world"}, "finish_reason": "stop", "x": 1}
    return {"id": "c", "model": "fake-chat", "choices": [choice], "service": "odd", **more}


async def test_only_the_missing_count_is_estimated_and_the_rest_of_the_body_stays(one, desk):
    said = {"prompt_tokens": 70, "completion_tokens": None, "cost": 0.5}
    desk.script(CHAT, Scripted(lines=[whole(usage=said)]))
    body = (await one.client.post(CHAT, json=asked("a"))).json()
    counts = {"prompt_tokens": 70, "completion_tokens": 2, "total_tokens": 72, "estimated": True, "cost": 0.5}
    assert body == {**whole(usage=counts), "model": "a"}


async def test_a_prompt_of_no_tokens_is_not_a_count(one, desk):
    desk.script(CHAT, Scripted(lines=[whole(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})]))
    response = await one.client.post(CHAT, json=asked("a"))
    assert response.headers["x-turnout-usage"] == "estimated"
    assert response.json()["usage"]["prompt_tokens"] == ESTIMATE["prompt_tokens"]


async def test_what_follows_from_the_total_is_counted(one, desk):
    desk.script(CHAT, Scripted(lines=[whole(usage={"prompt_tokens": 7, "total_tokens": 10})]))
    response = await one.client.post(CHAT, json=asked("a"))
    assert response.headers["x-turnout-usage"] == "exact"


async def test_half_a_count_in_a_stream_is_completed_in_one_chunk(one, desk):
    said = {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "hello world"}}]}
    end = {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    count = {"id": "c", "model": "m", "choices": [], "usage": {"prompt_tokens": 70}}
    desk.script(CHAT, Scripted(lines=[said, end, count, "[DONE]"]))
    answer = await streamed(one.client, "a", **WANTED)
    assert answer.usages == [{"prompt_tokens": 70, "completion_tokens": 2, "total_tokens": 72, "estimated": True}]
    assert (answer.text, answer.done) == ("hello world", True)


async def test_an_answer_that_nobody_understands_is_passed_on_without_a_count(one, desk):
    odd = {"id": "c", "model": "a", "choices": [{"message": {"content": [{"type": "text", "text": "Hi"}]}}]}
    desk.script(CHAT, Scripted(lines=[odd]))
    response = await one.client.post(CHAT, json=asked("a"))
    assert response.json() == odd
    assert "x-turnout-usage" not in response.headers


async def longest_turn_s(r: RunningRouter) -> float:
    """The longest that the loop worked without a pause while a long prompt was estimated.

    In CPU time, which other programs do not add to; client, router and backend share the loop.
    """
    long = {**asked("a"), "messages": [{"role": "user", "content": "All work and no play. " * 20_000}]}
    asking = asyncio.create_task(r.client.post(CHAT, json=long))
    longest, last = 0.0, time.thread_time()
    while not asking.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    assert asking.result().json()["usage"]["prompt_tokens"] == pytest.approx(120_000, rel=0.02)
    return longest


async def test_a_long_prompt_that_nobody_counted_does_not_hold_up_the_event_loop(one, desk):
    """A turn may be slow now and then; what stalls the loop would stall it every time."""
    desk.counts = False
    assert min([await longest_turn_s(one) for _ in range(4)]) < 0.05

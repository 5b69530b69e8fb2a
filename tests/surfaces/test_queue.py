"""Requests that wait, over HTTP: what they are told, what others see of them, and that all of it comes to an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from openai import AsyncOpenAI

from tests.fakes import FakeBackend, Faults
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, HELLO, alias, asked, backends, calling, error_of, eventually, idle, streamed
from tests.surfaces.queueing import ANN, BOB, BODY, HOLD, KEYS, NIGHT, QUICK, bearer, key, queue_of, waiting

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fake(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai") as fake:
        yield fake


@pytest.fixture
async def r(fake) -> AsyncIterator[RunningRouter]:
    config = {
        **QUICK,
        "auth": KEYS,
        "backends": backends({"desk": fake}, max_parallel=1),
        "models": {**alias("slow", "desk/fake-chat", priority="batch")},
        "queue": {"max_depth": 6, "max_per_user": 2},
    }
    async with running(config, headers=bearer(ANN)) as r:
        yield r


async def test_nobody_waits_at_first(r):
    report = await queue_of(r)
    assert (report["waiting"], report["in_flight"]) == (0, 0)
    (lane,) = report["lanes"]
    assert (lane["name"], lane["max_depth"], lane["entries"]) == ("desk", 6, [])
    assert lane["backends"] == [
        {"name": "desk", "in_flight": 0, "max_parallel": 1, "per_model": False, "loaded": [], "drained": False}
    ]


async def test_the_queue_needs_a_key(r):
    assert (await r.client.get("/v1/router/queue", headers=bearer("wrong-key-1"))).status_code == 401


async def test_who_waits_is_shown_without_key_or_content(r, fake):
    fake.faults = HOLD
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        first = await enter(calling(r, body=BODY, head=key(ANN)))
        await first.until(b"Hello")
        await enter(calling(r, body=asked("slow"), head=key(ANN) + "x-request-id: req-ann\r\n"))
        await waiting(r, 1)
        agent = "User-Agent: opencode/1.18.33\r\nx-request-id: req-bob\r\n"
        await enter(calling(r, body=BODY, head=key(BOB) + agent))
        report = await waiting(r, 2)
        text = (await r.client.get("/v1/router/queue")).text
        first.leave()
    lane = report["lanes"][0]
    assert (lane["waiting"], lane["in_flight"]) == (2, 1)
    bob, ann = lane["entries"]
    assert (bob["id"], bob["source"], bob["class"], bob["position"]) == ("req-bob", "coding tool", "interactive", 1)
    assert (ann["id"], ann["user"], ann["class"], ann["alias"]) == ("req-ann", "ann", "batch", "slow")
    assert (ann["source"], ann["model"], ann["backends"]) == ("direct API", "fake-chat", ["desk"])
    assert (len(bob["user"]), bob["alias"]) == (8, "")
    assert ann["waited_s"] >= bob["waited_s"] >= 0
    assert ann["eta_s"] >= bob["eta_s"]
    assert not [secret for secret in (ANN, BOB, "hello", "127.0.0.1") if secret in text]


async def test_a_stream_is_told_its_place_and_its_answer_afterwards(r, fake):
    fake.faults = HOLD
    async with calling(r, body=BODY, head=key(ANN)) as first:
        await first.until(b"Hello")
        async with calling(r, body=BODY, head=key(ANN)) as second, calling(r, body=BODY, head=key(ANN)) as third:
            got = await second.until(b": queued position=")
            assert got.startswith(b"HTTP/1.1 200 OK\r\n")
            await third.until(b": queued position=2 eta=")
            second.leave()
            await third.until(b": queued position=1 eta=")
            first.leave()
            assert b"data:" not in third.got
            await third.until(b"[DONE]")


async def test_the_openai_sdk_reads_past_comments(r, fake):
    fake.faults = HOLD
    async with calling(r, body=BODY, head=key(ANN)) as first, AsyncOpenAI(base_url=f"{r.url}/v1", api_key=BOB) as sdk:
        await first.until(b"Hello")
        opening = asyncio.create_task(sdk.chat.completions.create(model="desk/fake-chat", messages=HELLO, stream=True))
        await waiting(r, 1)
        stream = await opening  # the headers came with the first comment
        assert (await queue_of(r))["waiting"] == 1
        first.leave()
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    assert text == fake.reply


async def test_a_whole_answer_is_waited_for_in_silence(r, fake):
    fake.faults = HOLD
    async with calling(r, body=BODY, head=key(ANN)) as first:
        await first.until(b"Hello")
        asking = asyncio.create_task(r.client.post(CHAT, json=asked("desk/fake-chat")))
        await waiting(r, 1)
        await asyncio.sleep(0.05)
        first.leave()
        response = await asking
    assert response.status_code == 200
    assert b": queued" not in response.content


async def test_one_user_may_only_fill_their_share(r, fake):
    fake.faults = HOLD
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(calling(r, body=BODY, head=key(ANN)))
        await waiting(r, 2)
        response = await r.client.post(CHAT, json=BODY)
        other = asyncio.create_task(r.client.post(CHAT, json=asked("desk/fake-chat"), headers=bearer(BOB)))
        await waiting(r, 3)
    assert response.status_code == 429
    assert (error_of(response)["code"], error_of(response)["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert (await other).status_code == 200


async def test_a_full_queue_is_told_with_a_time_to_come_back(fake):
    config = {**QUICK, "backends": backends({"desk": fake}, max_parallel=1), "queue": {"max_depth": 2}}
    fake.faults = HOLD
    async with running(config) as r, AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(calling(r, body=BODY))
        await waiting(r, 2)
        response = await r.client.post(CHAT, json=BODY)
    assert response.status_code == 503
    assert error_of(response)["code"] == "queue_full"
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert fake.peak_in_flight == 1


async def test_a_full_queue_sends_the_request_on(fake):
    async with FakeBackend(flavour="openai", reply="I am the other.") as other:
        config = {
            "backends": backends({"desk": fake, "other": other}, max_parallel=1),
            "models": alias("both", "desk/fake-chat", "other/fake-chat"),
            "queue": {"max_depth": 1},
        }
        fake.faults = HOLD
        async with running(config) as r, calling(r, body=BODY), calling(r, body=BODY):
            await waiting(r, 1)
            answer = await streamed(r.client, "both")
            assert r.router.fleet.health["desk"].last_error is None
    assert (answer.text, answer.headers["x-turnout-backend"]) == ("I am the other.", "other")


async def test_being_turned_away_is_no_attempt(fake):
    async with FakeBackend(flavour="openai", reply="I am the last.") as last, AsyncExitStack() as stack:
        names = ("one", "two", "three", "four")
        config = {
            "backends": {**backends(dict.fromkeys(names, fake), max_parallel=1), **backends({"last": last})},
            "models": alias("all", *(f"{name}/fake-chat" for name in (*names, "last"))),
            "queue": {"max_depth": 1},
        }
        fake.faults = Faults(stall_after=2)
        r = await stack.enter_async_context(running(config))
        for name in (*names, *names):
            await stack.enter_async_context(calling(r, body=asked(f"{name}/fake-chat", stream=True)))
        await waiting(r, 4)
        answer = await streamed(r.client, "all")
    assert answer.text == "I am the last."


async def test_waiting_in_vain_is_told_inside_a_stream_that_has_begun(fake):
    config = {**QUICK, "backends": backends({"desk": fake}, max_parallel=1), "queue": {"max_wait": 0.3}}
    fake.faults = HOLD
    async with running(config) as r, calling(r, body=BODY):
        await fake.until(lambda: fake.in_flight == 1)
        answer = await streamed(r.client, "desk/fake-chat")
        whole = await r.client.post(CHAT, json=asked("desk/fake-chat"))
    assert answer.status == 200
    assert b": queued position=1" in answer.raw
    assert [error["code"] for error in answer.errors] == ["queue_full"]
    assert not answer.done
    assert (whole.status_code, error_of(whole)["code"]) == (503, "queue_full")
    assert int(whole.headers["retry-after"]) >= 1


async def test_leaving_the_queue_frees_the_place_at_once(r, fake):
    fake.faults = HOLD
    async with calling(r, body=BODY, head=key(ANN)) as first:
        await first.until(b"Hello")
        async with calling(r, body=BODY, head=key(BOB)) as second:
            await waiting(r, 1)
            before = asyncio.get_running_loop().time()
            second.leave()
            await waiting(r, 0)
            assert asyncio.get_running_loop().time() - before < 0.1
        first.leave()
    await eventually(lambda: idle(r))
    assert len(fake.requests) == 1


@pytest.mark.parametrize("word", ["urgent", "1"])
async def test_a_priority_that_is_none_is_an_error(r, word):
    response = await r.client.post(CHAT, json=BODY, headers={"X-Turnout-Priority": word})
    assert response.status_code == 400
    assert error_of(response)["param"] == "X-Turnout-Priority"
    assert "interactive, normal, batch" in error_of(response)["message"]


@pytest.mark.parametrize(
    ("head", "model", "stream", "shown"),
    [
        (key(BOB), "desk/fake-chat", True, "interactive"),
        (key(BOB), "desk/fake-chat", False, "normal"),
        (key(BOB), "slow", True, "batch"),
        (key(NIGHT), "slow", True, "normal"),
        (key(NIGHT) + "X-Turnout-Priority: interactive\r\n", "desk/fake-chat", True, "normal"),
        (key(NIGHT) + "X-Turnout-Priority: batch\r\n", "desk/fake-chat", True, "batch"),
        (key(BOB) + "X-Turnout-Priority: interactive\r\n", "slow", False, "interactive"),
    ],
)
async def test_the_class_of_a_request(r, fake, head, model, stream, shown):
    fake.faults = HOLD
    async with calling(r, body=BODY, head=key(ANN)) as first:
        await first.until(b"Hello")
        async with calling(r, body=asked(model, stream=stream), head=head):
            report = await waiting(r, 1)
    assert report["lanes"][0]["entries"][0]["class"] == shown

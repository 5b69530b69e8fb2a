"""Comments on a silent stream, from the first second of waiting."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.fakes import FakeBackend, Faults
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, calling, streamed

pytestmark = pytest.mark.anyio

PING = b": ping\n\n"
SILENT = {"server": {"keepalive_s": 0.03}}


@pytest.fixture
async def fake(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai") as fake:
        yield fake


@pytest.fixture
async def other(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai", reply="I am the other.") as other:
        yield other


@pytest.fixture
async def r(fake, other) -> AsyncIterator[RunningRouter]:
    limits = {"first_token": 0.4, "idle": 0.4}
    config = {
        **SILENT,
        "backends": {
            **backends({"desk": fake}, timeouts=limits, max_parallel=1),
            **backends({"other": other}, timeouts=limits),
        },
        "models": alias("both", "desk/fake-chat", "other/fake-chat"),
    }
    async with running(config) as r:
        yield r


async def test_a_comment_comes_before_the_backend_has_said_anything(r, fake):
    fake.faults = Faults(hang_before_headers=True)
    async with calling(r, body=asked("desk/fake-chat", stream=True)) as caller:
        got = await caller.until(PING)
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-type: text/event-stream" in got
    assert b"data:" not in got


async def test_comments_go_on_until_the_answer_comes(r, fake):
    fake.faults = Faults(first_byte_delay_s=0.25)
    answer = await streamed(r.client, "desk/fake-chat")
    assert answer.pings >= 3
    assert answer.raw.index(b": ping") < answer.raw.index(b"data:")
    assert (answer.text, answer.done) == (fake.reply, True)


async def test_a_comment_comes_while_queued(r, fake):
    fake.faults = Faults(stall_after=0)
    body = asked("desk/fake-chat", stream=True)
    async with calling(r, body=body), calling(r, body=body) as queued:
        await fake.until(lambda: fake.in_flight == 1)
        await queued.until(b": queued position=1 eta=")
        assert len(fake.requests) == 1


async def test_a_comment_comes_in_a_pause_of_the_answer(r, fake):
    fake.faults = Faults(chunk_delay_s=0.1)
    answer = await streamed(r.client, "desk/fake-chat")
    assert answer.raw.count(b": ping\n\ndata: ") >= 2
    assert (answer.text, answer.done) == (fake.reply, True)


async def test_a_quick_answer_has_no_comments(r):
    assert (await streamed(r.client, "desk/fake-chat")).pings == 0


async def test_a_failure_after_a_comment_is_told_inside_the_stream(r, fake):
    fake.faults = Faults(hang_before_headers=True)
    answer = await streamed(r.client, "desk/fake-chat")
    assert answer.status == 200
    assert answer.pings > 0
    assert [error["code"] for error in answer.errors] == ["backend_timeout"]
    assert (answer.events, answer.done) == ([{"error": answer.errors[0]}], False)


async def test_another_target_still_answers_after_comments(r, fake):
    fake.faults = Faults(hang_before_headers=True)
    answer = await streamed(r.client, "both")
    assert answer.pings > 0
    assert (answer.text, answer.done, answer.errors) == ("I am the other.", True, [])


async def test_headers_sent_with_a_comment_name_no_backend_that_may_yet_change(r, fake):
    fake.faults = Faults(hang_before_headers=True)
    told = (await streamed(r.client, "both")).headers
    assert {name: value for name, value in told.items() if name.startswith("x-turnout-")} == {
        "x-turnout-reason": "alias both"
    }


async def test_headers_sent_with_a_comment_name_the_only_backend_there_is(r, fake):
    fake.faults = Faults(first_byte_delay_s=0.05)
    told = (await streamed(r.client, "desk/fake-chat")).headers
    assert (told["x-turnout-backend"], told["x-turnout-model"]) == ("desk", "fake-chat")


async def test_an_answer_that_is_no_stream_gets_no_comments(r, fake):
    fake.faults = Faults(first_byte_delay_s=0.08)
    response = await r.client.post(CHAT, json=asked("desk/fake-chat"))
    assert response.json()["choices"][0]["message"]["content"] == fake.reply
    assert PING not in response.content


async def test_a_client_who_reads_slowly_is_not_sent_comments_on_top(fake):
    """While a send waits for the client, a comment would only pile up behind it."""
    fake.reply = ("w" * 1000 + " ") * 5_000
    async with (
        running({**SILENT, "backends": backends({"desk": fake})}) as r,
        calling(r, body=asked("desk/fake-chat", stream=True)) as caller,
    ):
        await caller.until(b"wwww")
        before = caller.got.count(PING)
        await asyncio.sleep(0.05)
        assert (await caller.until(b"data: [DONE]")).count(PING) == before

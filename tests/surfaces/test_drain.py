"""Going down: nothing new is taken, what runs may finish, and what takes too long is told so."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes import FakeBackend, Faults
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, asked, backends, calling, error_of, eventually, idle

pytestmark = pytest.mark.anyio

STREAM = asked("desk/fake-chat", stream=True)


@pytest.fixture
async def fake(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai") as fake:
        yield fake


@pytest.fixture
async def r(fake) -> AsyncIterator[RunningRouter]:
    async with running({"backends": backends({"desk": fake}, max_parallel=1), "server": {"drain_s": 0.1}}) as r:
        yield r


@pytest.mark.parametrize("stream", [False, True])
async def test_a_new_request_is_refused_and_told_when_to_come_back(r, fake, stream):
    r.router.drain.begin()
    response = await r.client.post(CHAT, json=asked("desk/fake-chat", stream=stream))
    assert response.status_code == 503
    assert error_of(response)["code"] == "shutting_down"
    assert int(response.headers["retry-after"]) > 0
    assert fake.requests == []


async def test_a_new_embedding_is_refused(r, fake):
    r.router.drain.begin()
    response = await r.client.post("/v1/embeddings", json={"model": "desk/fake-embed", "input": "a"})
    assert (response.status_code, error_of(response)["code"]) == (503, "shutting_down")
    assert response.headers["retry-after"]


async def test_readiness_goes_off_and_liveness_stays(r):
    assert (await r.client.get("/health/ready")).status_code == 200
    r.router.drain.begin()
    assert (await r.client.get("/health/ready")).status_code == 503
    assert (await r.client.get("/health/live")).status_code == 200


async def test_a_running_stream_finishes(r, fake):
    fake.faults = Faults(chunk_delay_s=0.01)
    async with calling(r, body=STREAM) as caller:
        await caller.until(b"Hello")
        r.router.drain.begin()
        got = await caller.until(b"0\r\n\r\n")
    assert b"fake." in got
    assert b"data: [DONE]" in got
    assert b"error" not in got


async def test_a_stream_over_the_limit_gets_one_error_event_and_no_end_marker(r, fake):
    fake.faults = Faults(stall_after=2)
    async with calling(r, body=STREAM) as caller:
        await caller.until(b"Hello")
        r.router.drain.begin()
        got = await caller.until(b"0\r\n\r\n")
    assert got.count(b'data: {"error":') == 1
    assert b"shutting_down" in got
    assert b"[DONE]" not in got
    assert b'finish_reason":"' not in got


async def test_stopping_an_answer_closes_its_backends_connection(r, fake):
    fake.faults = Faults(stall_after=2)
    async with calling(r, body=STREAM) as caller:
        await caller.until(b"Hello")
        r.router.drain.begin()
        await fake.until(lambda: len(fake.disconnects) == 1)
        await eventually(lambda: idle(r))


async def test_what_has_not_begun_by_the_limit_is_a_503(r, fake):
    fake.faults = Faults(hang_before_headers=True)
    async with calling(r, body=asked("desk/fake-chat")) as running_one, calling(r, body=STREAM) as queued:
        await eventually(lambda: r.router.drain.in_flight == 2)
        r.router.drain.begin()
        for caller in (running_one, queued):
            got = await caller.until(b"shutting_down")
            assert got.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after" in got
    assert len(fake.requests) == 1


async def test_beginning_twice_changes_nothing(r, fake):
    r.router.drain.begin()
    r.router.drain.begin()
    assert r.router.drain.draining

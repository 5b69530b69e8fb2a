"""Taking a backend out of service, and back, while requests run and wait."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.fakes import FakeBackend, Faults
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, calling, error_of, eventually, idle, streamed, take_down

pytestmark = pytest.mark.anyio

HOLD = Faults(stall_after=2, times=1)
KEY = "key-of-nobody-1"


@pytest.fixture
async def desk(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai", reply="I am desk.") as desk:
        yield desk


@pytest.fixture
async def lab(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai", reply="I am lab.") as lab:
        yield lab


@pytest.fixture
async def r(desk, lab) -> AsyncIterator[RunningRouter]:
    config = {
        "server": {"keepalive_s": 0.03},
        "backends": backends({"desk": desk, "lab": lab}, max_parallel=1),
        "models": alias("both", "desk/fake-chat", "lab/fake-chat"),
        "queue": {"max_wait": 2},
    }
    async with running(config) as r:
        yield r


async def drain(r: RunningRouter, name: str = "desk") -> dict:
    response = await r.client.post(f"/v1/router/backends/{name}/drain")
    assert response.status_code == 200
    return response.json()


async def resume(r: RunningRouter, name: str = "desk") -> dict:
    response = await r.client.post(f"/v1/router/backends/{name}/resume")
    assert response.status_code == 200
    return response.json()


async def test_new_requests_go_elsewhere_and_come_back(r):
    assert (await streamed(r.client, "both")).text == "I am desk."
    assert await drain(r) == {"backend": "desk", "drained": True, "in_flight": 0, "waiting": 0}
    answer = await streamed(r.client, "both")
    assert (answer.text, answer.headers["x-turnout-attempts"]) == ("I am lab.", "1")
    assert await resume(r) == {"backend": "desk", "drained": False, "in_flight": 0, "waiting": 0}
    assert (await streamed(r.client, "both")).text == "I am desk."


async def test_a_running_answer_goes_on_and_a_script_sees_it_end(r, desk):
    desk.faults = Faults(chunk_delay_s=0.02)
    async with calling(r, body=asked("desk/fake-chat", stream=True)) as caller:
        await caller.until(b"data:")
        assert (await drain(r))["in_flight"] == 1
        await caller.until(b"[DONE]")
    await eventually(lambda: idle(r))
    assert (await drain(r))["in_flight"] == 0


async def test_who_waits_moves_on_where_it_can(r, desk):
    desk.faults = HOLD
    async with calling(r, body=asked("desk/fake-chat", stream=True)) as first:
        await first.until(b"data:")
        async with calling(r, body=asked("both", stream=True)) as second:
            await second.until(b": queued position=1")
            await drain(r)
            assert b"lab." in await second.until(b"[DONE]")
    assert r.router.fleet.health["desk"].last_error is None


async def test_who_can_go_nowhere_else_waits_for_the_resume(r, desk):
    await drain(r)
    asking = asyncio.create_task(streamed(r.client, "desk/fake-chat"))
    await eventually(lambda: r.router.drain.in_flight == 1)
    await asyncio.sleep(0.03)
    assert desk.requests == []
    await resume(r)
    assert (await asking).text == "I am desk."


async def test_with_everything_drained_whoever_is_resumed_first_answers(r):
    await drain(r, "desk")
    await drain(r, "lab")
    asking = asyncio.create_task(streamed(r.client, "both"))
    await eventually(lambda: r.router.drain.in_flight == 1)
    assert (await r.client.get("/health/ready")).status_code == 503
    await resume(r, "lab")
    assert (await asking).text == "I am lab."


async def test_waiting_for_a_resume_has_an_end(desk):
    config = {"backends": backends({"desk": desk}), "queue": {"max_wait": 0.03}}
    async with running(config) as r:
        await drain(r)
        response = await r.client.post(CHAT, json=asked("desk/fake-chat"))
    assert response.status_code == 503
    assert "drained" in error_of(response)["message"]
    assert int(response.headers["retry-after"]) >= 1


async def test_a_backend_that_is_down_is_tried_before_one_that_is_drained(r, desk, lab):
    await take_down(r, "lab")
    await drain(r)
    assert (await streamed(r.client, "both")).text == "I am lab."
    lab.faults = Faults(status=500)
    response = await r.client.post(CHAT, json=asked("both"))
    assert response.status_code == 503
    assert error_of(response)["code"] == "backend_drained"
    assert desk.requests == []


async def test_drained_is_shown_and_is_no_fault(r):
    await drain(r)
    await drain(r)
    health = await r.client.get("/health")
    queue = (await r.client.get("/v1/router/queue")).json()
    ready = await r.client.get("/health/ready")
    assert (health.status_code, health.json()["status"], ready.status_code) == (200, "ok", 200)
    assert [(each["state"], each["drained"]) for each in health.json()["backends"]] == [("up", True), ("up", False)]
    assert [lane["backends"][0]["drained"] for lane in queue["lanes"]] == [True, False]
    await resume(r)
    await resume(r)
    assert not (await r.client.get("/health")).json()["backends"][0]["drained"]


@pytest.mark.parametrize("verb", ["drain", "resume"])
async def test_a_backend_that_nobody_knows_is_not_found(r, verb):
    response = await r.client.post(f"/v1/router/backends/nobody/{verb}")
    assert response.status_code == 404
    assert error_of(response)["code"] == "backend_not_found"
    assert "desk, lab" in error_of(response)["message"]


@pytest.mark.parametrize("verb", ["drain", "resume"])
async def test_draining_needs_a_key(desk, verb):
    async with running({"backends": backends({"desk": desk}), "auth": {"api_keys": [KEY]}}) as r:
        assert (await r.client.post(f"/v1/router/backends/desk/{verb}")).status_code == 401
        assert not r.router.fleet.health["desk"].drained

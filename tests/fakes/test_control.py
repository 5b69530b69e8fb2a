"""The control plane and the fake in its own process."""

import os
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.fakes import FakeBackend, FakeProcess, Faults

pytestmark = pytest.mark.anyio

CHAT = {"model": "llama3.2", "messages": [{"role": "user", "content": "hi"}], "stream": False}


@pytest.fixture
async def fake(anyio_backend: str) -> AsyncIterator[FakeBackend]:
    async with FakeBackend() as fake:
        yield fake


@pytest.fixture
async def client(anyio_backend: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def test_faults_are_put_shown_and_deleted(fake, client):
    async with client.put(fake.url + "/__fake/faults", json={"status": 503, "times": 1}) as response:
        assert (await response.json())["status"] == 503
    assert fake.faults == Faults(status=503, times=1)
    assert (await client.post(fake.url + "/api/chat", json=CHAT)).status == 503
    await client.delete(fake.url + "/__fake/faults")
    assert fake.faults == Faults()


@pytest.mark.parametrize("faults", [{"colour": 1}, {"status": "high"}, {"health": "ill"}, []])
async def test_faults_that_make_no_sense_are_refused(fake, client, faults):
    async with client.put(fake.url + "/__fake/faults", json=faults) as response:
        assert response.status == 400
        assert (await response.json())["error"]
    assert fake.faults == Faults()


async def test_scripts_are_put(fake, client):
    script = {"path": "/api/chat", "answers": [{"status": 500, "lines": [{"error": "no"}]}, {"body": "{}"}]}
    assert (await client.put(fake.url + "/__fake/script", json=script)).status == 200
    statuses = [(await client.post(fake.url + "/api/chat", json=CHAT)).status for _ in range(3)]
    assert statuses == [500, 200, 200]


async def test_requests_and_state_are_shown_and_forgotten(fake, client):
    await client.post(fake.url + "/api/chat", json=CHAT)
    async with client.get(fake.url + "/__fake/requests") as response:
        assert [r["path"] for r in await response.json()] == ["/api/chat"]
    async with client.get(fake.url + "/__fake/state") as response:
        assert (await response.json())["requests"] == 1
    await client.delete(fake.url + "/__fake")
    assert fake.requests == []


async def test_a_process_serves_and_can_be_killed(client):
    async with FakeProcess(kind="llama_cpp", models=["tiny=completion"], reply="Aye.") as process:
        body = {"model": "x", "messages": []}
        async with client.post(process.url + "/v1/chat/completions", json=body) as response:
            answer = await response.json()
        assert (answer["model"], answer["choices"][0]["message"]["content"]) == ("tiny", "Aye.")
        await process.kill()
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get(process.url)

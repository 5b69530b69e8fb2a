"""`/health`, `/health/live`, `/health/ready`."""

import pytest

from tests.fakes import FakeBackend, Faults
from tests.running import running
from tests.surfaces.asking import CHAT, asked, backends, take_down

pytestmark = pytest.mark.anyio

KEY = "sk-planted-backend-key-0123456789"


@pytest.fixture
async def fake(anyio_backend):
    async with FakeBackend() as fake:
        yield fake


async def test_all_is_well_when_every_backend_answers(fake):
    async with running({"backends": backends({"desk": fake})}) as r:
        response = await r.client.get("/health")
        body = response.json()
    assert (response.status_code, body["status"]) == (200, "ok")
    desk = body["backends"][0]
    assert (desk["name"], desk["kind"], desk["state"], desk["in_flight"]) == ("desk", "ollama", "up", 0)
    assert desk["models"] == [model.name for model in fake.models]
    assert desk["last_look_s"] >= 0
    assert desk["latency_ms"] > 0
    assert desk["last_error"] is None


async def test_one_backend_that_is_down_is_told_as_degraded(fake):
    async with FakeBackend() as gone:
        both = backends({"desk": fake, "gone": gone})
    async with running({"backends": both}) as r:
        response = await r.client.get("/health")
        body = response.json()
        ready = await r.client.get("/health/ready")
    assert (response.status_code, body["status"]) == (503, "degraded")
    assert [backend["state"] for backend in body["backends"]] == ["up", "down"]
    assert body["backends"][1]["last_error"] == "gone refused the connection: is it running?"
    assert ready.status_code == 200


async def test_nothing_to_serve_with_is_not_ready(anyio_backend):
    async with running({}) as r:
        assert (await r.client.get("/health/ready")).status_code == 503
        assert (await r.client.get("/health")).status_code == 200
        assert (await r.client.get("/health/live")).json() == {"status": "ok"}


async def test_readiness_goes_when_the_last_backend_goes(fake):
    async with running({"backends": backends({"desk": fake})}) as r:
        assert (await r.client.get("/health/ready")).status_code == 200
        await take_down(r, "desk")
        response = await r.client.get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (503, "no backend can serve")


@pytest.mark.parametrize(("health", "state"), [("fail", "down"), ("hang", "down"), ("loading", "loading")])
async def test_a_backend_whose_looks_fail_is_down_and_comes_back(fake, health, state):
    async with running({"backends": backends({"desk": fake}), "health": {"timeout_s": 0.1}}) as r:
        fake.faults = Faults(health=health)
        await r.looked()
        assert (await r.client.get("/health")).json()["backends"][0]["state"] == state
        fake.faults = Faults()
        await r.looked()
        assert (await r.client.get("/health")).json()["backends"][0]["state"] == "up"


async def test_a_look_never_generates(fake):
    async with running({"backends": backends({"desk": fake})}) as r:
        for _ in range(3):
            await r.looked()
    assert fake.requests == []
    assert {probe.path for probe in fake.probes} <= {"/api/version", "/api/tags", "/api/ps", "/api/show"}


async def test_health_shows_no_address_and_no_key(fake):
    config = backends({"desk": fake}, api_key=KEY, headers={"X-Extra": KEY})
    async with running({"backends": config}) as r:
        fake.faults = Faults(status=500, body={"error": f"{KEY} at {fake.url} in /srv/models/x.py said: hello there"})
        await r.client.post(CHAT, json=asked("desk/llama3.2"))
        text = (await r.client.get("/health")).text
    assert '"state":"down"' in text
    for secret in (KEY, str(fake.port), "127.0.0.1", "http", "/srv", "hello there"):
        assert secret not in text

"""What adapters see of loaded models and idle slots."""

from contextlib import asynccontextmanager

import pytest

from adapters.llama_cpp import LlamaCpp
from adapters.ollama import Ollama
from router.canonical.adapter import BackendConfig
from router.errors import BackendLoading
from tests.fakes import FakeBackend, FakeModel, Faults
from tests.fakes.scripts import Scripted

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(kind, fake):
    adapter = kind(BackendConfig(name="desk", url=fake.url))
    try:
        yield adapter
    finally:
        await adapter.aclose()


async def test_llama_cpp_counts_its_idle_slots(anyio_backend):
    async with FakeBackend(flavour="llama_cpp") as fake, opened(LlamaCpp, fake) as adapter:
        probe, glance = await adapter.probe(timeout_s=2), await adapter.glance(timeout_s=2)
    assert (probe.slots, probe.idle_slots) == (glance.slots, glance.idle_slots) == (4, 4)


@pytest.mark.parametrize("status", [404, 501])
async def test_slots_that_are_switched_off_are_asked_for_once(anyio_backend, status):
    async with FakeBackend(flavour="llama_cpp") as fake, opened(LlamaCpp, fake) as adapter:
        fake.script("/slots", *[Scripted(status=status, body=b'{"error": {"message": "off", "code": 501}}')] * 3)
        glances = [await adapter.glance(timeout_s=2) for _ in range(3)]
        assert [(glance.slots, glance.idle_slots) for glance in glances] == [(None, None)] * 3
        assert [probe.path for probe in fake.probes].count("/slots") == 1


async def test_a_server_that_loads_its_model_says_so(anyio_backend):
    async with FakeBackend(flavour="llama_cpp") as fake, opened(LlamaCpp, fake) as adapter:
        fake.faults = Faults(health="loading")
        with pytest.raises(BackendLoading):
            await adapter.probe(timeout_s=2)


async def test_ollama_says_what_is_loaded_how_long_and_where(anyio_backend):
    models = [FakeModel("big:latest"), FakeModel("small:latest", loaded=False), FakeModel("far:120b-cloud")]
    async with FakeBackend(models) as fake, opened(Ollama, fake) as adapter:
        probe = await adapter.probe(timeout_s=2)
        glance = await adapter.glance(timeout_s=2)
    found = {model.name: model for model in probe.models}
    assert found["big:latest"].loaded_s > 3600
    assert found["big:latest"].vram == models[0].size
    assert (found["small:latest"].loaded, found["small:latest"].loaded_s) == (False, None)
    assert [found[model.name].hosted for model in models] == [False, False, True]
    assert set(glance.loaded) == {"big:latest", "far:120b-cloud"}


async def test_an_expiry_in_the_past_is_a_clock_that_differs(anyio_backend):
    async with FakeBackend([FakeModel("big:latest")]) as fake, opened(Ollama, fake) as adapter:
        past = b'{"models": [{"name": "big:latest", "expires_at": "2020-01-01T00:00:00Z"}]}'
        fake.script("/api/ps", Scripted(status=200, body=past))
        assert (await adapter.glance(timeout_s=2)).loaded == {"big:latest": None}

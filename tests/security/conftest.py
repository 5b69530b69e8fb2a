"""A router between a caller who means harm and a backend, and a place that nobody may be led to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.fakes import FakeBackend, FakeModel
from tests.fakes.persona import Flavour
from tests.running import RunningRouter, running

KINDS: tuple[Flavour, ...] = ("ollama", "llama_cpp", "openai")
MODEL = "able"
CALLER_KEY = "planted-caller-key-4713"
BACKEND_KEY = "planted-backend-key-4711"
HEADER_KEY = "planted-header-key-4712"
SECRETS = (CALLER_KEY, BACKEND_KEY, HEADER_KEY)


@dataclass(frozen=True)
class Place:
    """`trap` stands for what only the router's own network reaches; `r.client` has no key of its own."""

    r: RunningRouter
    backend: FakeBackend
    trap: FakeBackend

    @property
    def is_quiet(self) -> bool:
        """Whether nobody has come to the trap."""
        return not self.trap.requests and not self.trap.probes

    @property
    def key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {CALLER_KEY}"}


@pytest.fixture(params=KINDS)
async def place(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Place]:
    models = [FakeModel(MODEL, ("completion", "tools", "vision", "embedding"))]
    async with FakeBackend(models, flavour=request.param) as backend, FakeBackend(flavour="openai") as trap:
        desk = {
            "type": request.param,
            "url": backend.url,
            "api_key": BACKEND_KEY,
            "headers": {"X-Secret": f"Token {HEADER_KEY}"},
            "timeouts": {"first_token": 5, "idle": 5},
        }
        config = {
            "backends": {"desk": desk},
            "auth": {"api_keys": [CALLER_KEY]},
            "models": {"m": {"targets": [f"desk/{MODEL}"]}},
        }
        async with running(config) as r:
            yield Place(r, backend, trap)

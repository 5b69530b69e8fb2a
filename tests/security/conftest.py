"""A router between a caller who means harm and a backend, and a place that nobody may be led to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.fakes import FakeBackend
from tests.running import RunningRouter, running
from tests.sdk.kinds import FAKES, Kind

CALLER_KEY = "planted-caller-key-4713"
BACKEND_KEY = "planted-backend-key-4711"
HEADER_KEY = "planted-header-key-4712"
SECRETS = (CALLER_KEY, BACKEND_KEY, HEADER_KEY)


@dataclass(frozen=True)
class Place:
    """`trap` stands for what only the router's own network reaches; `r.client` has no key of its own.

    The backend's models are `m` and, for embeddings where it makes any, `e`.
    """

    kind: Kind
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


@pytest.fixture(params=FAKES, ids=lambda kind: kind.name)
async def place(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Place]:
    kind: Kind = request.param
    async with FakeBackend(kind.models(), flavour=kind.flavour) as backend, FakeBackend(flavour="openai") as trap:
        desk = {
            "type": kind.flavour,
            "url": backend.url,
            "api_key": BACKEND_KEY,
            "headers": {"X-Secret": f"Token {HEADER_KEY}"},
            "timeouts": {"first_token": 5, "idle": 5},
        }
        names = {"m": kind.chat, "e": kind.embedding or kind.chat}
        config = {
            "backends": {"desk": desk},
            "auth": {"api_keys": [CALLER_KEY]},
            "models": {alias: {"targets": [f"desk/{name}"]} for alias, name in names.items()},
        }
        async with running(config) as r:
            yield Place(kind, r, backend, trap)

"""One router over a fake of every kind, up for a whole module: hypothesis asks it thousands of times."""

import logging
import os
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.fakes import FakeBackend, FakeModel
from tests.fakes.persona import Flavour
from tests.fuzz.judging import Listening
from tests.running import RunningRouter, running
from tests.surfaces.asking import eventually, idle

KINDS: tuple[Flavour, ...] = ("ollama", "llama_cpp", "openai")
EXAMPLES = int(os.environ.get("TURNOUT_FUZZ_EXAMPLES", "500"))
"""For each kind and test; `just fuzz` tries more."""
LIMIT_S = 3.0
"""An answer that takes longer hangs; nothing that the fakes do here takes more than a moment."""


@dataclass(frozen=True)
class Range:
    """Where to shoot at."""

    portal: BlockingPortal
    r: RunningRouter
    fakes: Mapping[str, FakeBackend]
    log: Listening

    def ask(self, path: str, body: bytes, *, kind: str) -> httpx.Response:
        """One request to the model of a kind; raises TimeoutError for a hang."""
        response = self.portal.call(self._ask, path, body.replace(b'"m"', b'"%b"' % kind.encode(), 1))
        complaints, self.log.complaints = self.log.complaints, []
        assert not complaints
        return response

    async def _ask(self, path: str, body: bytes) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        return await self.r.client.post(path, content=body, headers=headers, timeout=LIMIT_S)

    def settle(self) -> None:
        """Waits until nothing is under way any more."""
        self.portal.call(eventually, lambda: idle(self.r))


@pytest.fixture(scope="module")
def shooting() -> Iterator[Range]:
    log = Listening()
    logging.getLogger().addHandler(log)
    try:
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(_up()) as (r, fakes):
            yield Range(portal, r, fakes, log)
    finally:
        logging.getLogger().removeHandler(log)


@asynccontextmanager
async def _up() -> AsyncGenerator[tuple[RunningRouter, Mapping[str, FakeBackend]]]:
    models = [FakeModel("able", ("completion", "tools", "vision", "thinking", "embedding"))]
    async with AsyncExitStack() as stack:
        fakes = {
            kind: await stack.enter_async_context(FakeBackend(models, flavour=kind, reply="Hello you."))
            for kind in KINDS
        }
        times = {"first_token": 1, "idle": 1}
        backends: dict[str, Any] = {
            kind: {"type": kind, "url": fake.url, "api_key": "k", "timeouts": times} for kind, fake in fakes.items()
        }
        models_of = {kind: {"targets": [f"{kind}/able"]} for kind in fakes}
        yield await stack.enter_async_context(running({"backends": backends, "models": models_of})), fakes

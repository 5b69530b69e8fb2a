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

from tests.fakes import FakeBackend
from tests.fuzz.judging import Listening
from tests.running import RunningRouter, running
from tests.sdk.kinds import FAKES, Kind
from tests.surfaces.asking import eventually, idle

EXAMPLES = int(os.environ.get("TURNOUT_FUZZ_EXAMPLES", "800"))
"""For each kind and test; `just fuzz` tries more."""
EMBED = "/v1/embeddings"
LIMIT_S = 15.0
"""An answer that takes longer hangs; nothing that the fakes do here takes more than a moment."""


@dataclass(frozen=True)
class Range:
    """Where to shoot at."""

    portal: BlockingPortal
    r: RunningRouter
    fakes: Mapping[str, FakeBackend]
    log: Listening

    def ask(self, path: str, body: bytes, *, kind: Kind) -> httpx.Response:
        """One request to a model of the kind instead of `m`; raises httpx.TimeoutException for a hang."""
        alias = f"{kind.name}-embed" if path == EMBED else kind.name
        response = self.portal.call(self._ask, path, body.replace(b'"m"', b'"%b"' % alias.encode(), 1))
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
    async with AsyncExitStack() as stack:
        fakes = {
            kind.name: await stack.enter_async_context(
                FakeBackend(kind.models(), flavour=kind.flavour, reply="Hello you.")
            )
            for kind in FAKES
        }
        times = {"first_token": 5, "idle": 5}
        backends: dict[str, Any] = {
            name: {"type": fake.flavour, "url": fake.url, "api_key": "k", "timeouts": times}
            for name, fake in fakes.items()
        }
        targets = {kind.name: kind.chat for kind in FAKES}
        embedding = {f"{kind.name}-embed": kind.embedding or kind.chat for kind in FAKES}
        models = {
            alias: {"targets": [f"{alias.removesuffix('-embed')}/{model}"]}
            for alias, model in {**targets, **embedding}.items()
        }
        settings = {"backends": backends, "models": models, "health": {"interval_s": 3600}}
        r = await stack.enter_async_context(running(settings))
        for adapter in r.router.fleet.adapters.values():
            await adapter.warm_up()
        yield r, fakes

"""Models that are not loaded yet: who has to load first, and waiting until a backend has."""

import asyncio

from router.canonical.adapter import Adapter
from router.canonical.models import canonical_name
from router.errors import BackendBusy, BackendLoading, BackendTimeout
from router.relay.fleet import Fleet
from router.routing.catalog import Target

LOADING = "loading model"
FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 1.0
LOOK_S = 2.0
RETRY_AFTER_S = 5.0


class Loads:
    """What is known of loading. Looks at a backend that loads are shared by all who wait for it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._looked_at: dict[str, float] = {}
        self._ready_at: dict[str, float] = {}

    def is_due(self, target: Target) -> bool:
        """Whether the backend has to load the model first, as far as anybody knows."""
        now = asyncio.get_running_loop().time()
        return self._fleet.health[target.backend].has_loaded(canonical_name(target.model), now) is False

    async def over(self, adapter: Adapter, until: float, said: BackendLoading, *, pause_s: float) -> None:
        """Returns when the backend has loaded; raises BackendLoading at `until`, and what a look says otherwise.

        `pause_s` is the first pause, which lets one who was told otherwise before ask less often.
        """
        backend, loop = adapter.config.name, asyncio.get_running_loop()
        began = loop.time()
        while (now := loop.time()) < until:
            await asyncio.sleep(min(pause_s, until - now))
            if self._ready_at.get(backend, 0.0) > began:
                return
            if loop.time() - self._looked_at.get(backend, 0.0) >= pause_s and await self._look(adapter):
                return
            pause_s = min(2 * pause_s, MAX_PAUSE_S)
        raise BackendLoading(
            f"{backend} still loads its model after {adapter.config.timeouts.load:g} s",
            retry_after=said.retry_after or RETRY_AFTER_S,
        )

    async def _look(self, adapter: Adapter) -> bool:
        """Whether it has loaded; the health of the backend learns of it too."""
        backend, loop = adapter.config.name, asyncio.get_running_loop()
        began = self._looked_at[backend] = loop.time()
        try:
            async with asyncio.timeout(LOOK_S):
                probe = await adapter.probe(timeout_s=LOOK_S)
        except (BackendBusy, BackendTimeout, TimeoutError):
            return False
        now = self._ready_at[backend] = loop.time()
        if self._fleet.adapters.get(backend) is adapter:
            self._fleet.health.looked(backend, probe, now=now, latency_s=now - began)
        return True

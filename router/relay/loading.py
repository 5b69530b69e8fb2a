"""Models that are not loaded yet: who has to load first, and waiting until a backend has."""

import asyncio

from router.canonical.adapter import Adapter
from router.errors import BackendBusy, BackendLoading, BackendTimeout
from router.relay.progress import Fleet
from router.routing.catalog import Target

LOADING = "loading model"
FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 1.0
LOOK_S = 2.0
RETRY_AFTER_S = 5.0
MAX_KNOWN = 4096


class Loads:
    """What is known of loading. Looks at a backend that loads are shared by all who wait for it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._due: dict[Target, tuple[float | None, bool]] = {}
        self._looked_at: dict[str, float] = {}
        self._ready_at: dict[str, float] = {}

    def is_due(self, target: Target) -> bool:
        """Whether the backend has to load the model first, as far as the last look and answers since then tell."""
        health = self._fleet.health[target.backend]
        at, due = self._due.get(target, (None, False))
        if at is None or at != health.models_at:
            model = health.model(target.model)
            due = model is not None and model.loaded is False
            self._note(target, health.models_at, due=due)
        return due

    def answered(self, target: Target) -> None:
        """The model said something, so it is loaded."""
        at, due = self._due.get(target, (None, False))
        if due:
            self._note(target, at, due=False)

    def _note(self, target: Target, at: float | None, *, due: bool) -> None:
        if target in self._due or len(self._due) < MAX_KNOWN:
            self._due[target] = (at, due)

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
        self._fleet.health.looked(backend, probe, now=now, latency_s=now - began)
        return True

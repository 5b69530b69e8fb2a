"""Looks at every backend with each heartbeat; the only I/O of routing."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from random import random

from router.canonical.adapter import Adapter
from router.errors import BackendLoading, RouterError
from router.routing.health import BackendHealth, Health, State
from router.settings.serving import HealthSettings

logger = logging.getLogger(__name__)

JITTER = 0.1
GLANCE_S = 5.0
"""Between two glances at a backend that is used, or two looks at one that loads its model."""


class Prober:
    """Keeps `health` current. One task for each backend, for as long as `run` runs.

    `optional` backends are places where one may turn up: nothing there is no news. `looked` is called after every look
    that found the backend answering.
    """

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        health: Health,
        settings: HealthSettings,
        *,
        optional: frozenset[str] = frozenset(),
        looked: Callable[[BackendHealth], None] | None = None,
    ) -> None:
        self._adapters = adapters
        self._health = health
        self._settings = settings
        self._optional = optional
        self._looked = looked
        self._glanced_at: dict[str, float] = {}
        self.looked_at_all = asyncio.Event()

    async def run(self) -> None:
        """Looks at everything at once, then again with every heartbeat, until cancelled."""
        await asyncio.gather(*(self.look(name) for name in self._adapters))
        self.looked_at_all.set()
        async with asyncio.TaskGroup() as tasks:
            for name in self._adapters:
                tasks.create_task(self._watch(name), name=f"probe-{name}")
                if self._adapters[name].glances:
                    tasks.create_task(self._keep_glancing(name), name=f"glance-{name}")

    async def _watch(self, name: str) -> None:
        while True:
            await asyncio.sleep(self._settings.interval_s * (1 + JITTER * (2 * random() - 1)))  # noqa: S311
            await self.look(name)

    async def _keep_glancing(self, name: str) -> None:
        while True:
            await asyncio.sleep(GLANCE_S)
            if self._health[name].state is State.LOADING:
                await self.look(name)
            else:
                await self.glance(name)

    async def glance(self, name: str) -> None:
        """Asks what is loaded and idle, if anybody used the backend since the last time. A failure is no news."""
        now, health = asyncio.get_running_loop().time(), self._health[name]
        if health.last_used is None or health.last_used <= self._glanced_at.get(name, 0.0):
            return
        self._glanced_at[name], ours = now, health.in_flight
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                glance = await self._adapters[name].glance(timeout_s=self._settings.timeout_s)
        except (TimeoutError, RouterError) as error:
            logger.debug("no glance at %s: %s", name, type(error).__name__)
            return
        self._health.glanced(name, glance, now=asyncio.get_running_loop().time(), ours=ours)

    async def look(self, name: str) -> None:
        """One look at one backend; a failure is its result, not an exception. A passive one is not troubled."""
        loop = asyncio.get_running_loop()
        if self._adapters[name].passive:
            self._health.told(name, self._adapters[name].known_models(), now=loop.time())
            return
        before = self._health[name].state
        start, ours = loop.time(), self._health[name].in_flight
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                probe = await self._adapters[name].probe(timeout_s=self._settings.timeout_s)
        except TimeoutError:
            error = f"{name} did not answer within {self._settings.timeout_s:g} s"
            self._health.look_failed(name, error, now=loop.time(), models_s=self._settings.models_s)
        except BackendLoading:
            self._health.look_found_loading(name, now=loop.time())
        except RouterError as error:
            self._health.look_failed(name, error.message, now=loop.time(), models_s=self._settings.models_s)
        else:
            self._health.looked(name, probe, now=loop.time(), latency_s=loop.time() - start, ours=ours)
            if self._looked is not None:
                self._looked(self._health[name])
        self._tell(name, before)

    def _tell(self, name: str, before: State) -> None:
        health = self._health[name]
        if health.state is before or (name in self._optional and health.last_seen is None):
            return
        if health.state is State.DOWN:
            logger.warning("backend %s is down: %s", name, health.last_error)
        elif health.state is State.LOADING:
            logger.info("backend %s loads its model", name)
        elif before is not State.UNKNOWN or health.models:
            logger.info("backend %s is %s with %d models", name, health.state.value, len(health.models))

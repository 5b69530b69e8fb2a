"""Looks at every backend with each heartbeat; the only I/O of routing."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from random import random

from router.canonical.adapter import Adapter
from router.canonical.models import Probe
from router.errors import BackendLoading, BackendTimeout, RouterError
from router.routing.health import BackendHealth, Health, State
from router.settings.serving import HealthSettings

logger = logging.getLogger(__name__)

JITTER = 0.1
GLANCE_S = 5.0
"""Between two glances at a backend that is used, or two looks at one that loads its model."""


class Prober:
    """Keeps `health` current. A task or two for each backend, for as long as `run` runs.

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
        self._tasks: asyncio.TaskGroup | None = None
        self._watching: dict[str, tuple[Adapter, Sequence[asyncio.Task[None]]]] = {}
        self.looked_at_all = asyncio.Event()

    async def run(self) -> None:
        """Looks at everything at once, then again with every heartbeat, until cancelled."""
        await asyncio.gather(*(self.look(name) for name in self._adapters))
        self.looked_at_all.set()
        async with asyncio.TaskGroup() as self._tasks:
            self._follow(at_once=False)
            await asyncio.Event().wait()

    def become(self, adapters: Mapping[str, Adapter], settings: HealthSettings, *, optional: frozenset[str]) -> None:
        """Watches these from now on; those that are new are looked at now."""
        self._adapters, self._settings, self._optional = adapters, settings, optional
        if self._tasks is not None:
            self._follow(at_once=True)

    def _follow(self, *, at_once: bool) -> None:
        """Has the tasks watch what there is: none where an adapter has gone, new ones where one is new."""
        for name, (adapter, tasks) in tuple(self._watching.items()):
            if self._adapters.get(name) is not adapter:
                del self._watching[name]
                for task in tasks:
                    task.cancel()
        for name, adapter in self._adapters.items():
            if name not in self._watching and self._tasks is not None:
                watching = self._tasks.create_task(self._watch(name, at_once=at_once), name=f"probe-{name}")
                glancing = self._tasks.create_task(self._keep_glancing(name), name=f"glance-{name}")
                self._watching[name] = (adapter, (watching, glancing))

    async def _watch(self, name: str, *, at_once: bool) -> None:
        if at_once:
            await self.look(name)
        while True:
            await asyncio.sleep(self._settings.interval_s * (1 + JITTER * (2 * random() - 1)))  # noqa: S311
            await self.look(name)

    async def _keep_glancing(self, name: str) -> None:
        while self._adapters[name].glances:
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
        adapter = self._adapters[name]
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                glance = await adapter.glance(timeout_s=self._settings.timeout_s)
        except (TimeoutError, RouterError) as error:
            logger.debug("no glance at %s: %s", name, type(error).__name__)
            return
        if self._adapters.get(name) is not adapter:
            return
        self._health.glanced(name, glance, now=asyncio.get_running_loop().time(), ours=ours)

    async def look(self, name: str) -> None:
        """One look at one backend; a failure is its result, not an exception. A passive one is not troubled."""
        loop = asyncio.get_running_loop()
        adapter = self._adapters.get(name)
        if adapter is None:
            return
        if adapter.passive:
            self._health.told(name, adapter.known_models(), now=loop.time())
            return
        before = self._health[name].state
        start, ours = loop.time(), self._health[name].in_flight
        outcome = await self._asked(adapter)
        if self._adapters.get(name) is not adapter:  # what it was has been taken away meanwhile
            return
        now = loop.time()
        if isinstance(outcome, Probe):
            self._health.looked(name, outcome, now=now, latency_s=now - start, ours=ours)
            if self._looked is not None:
                self._looked(self._health[name])
        elif isinstance(outcome, BackendLoading):
            self._health.look_found_loading(name, now=now)
        else:
            self._health.look_failed(name, outcome.message, now=now, models_s=self._settings.models_s)
        self._tell(name, before)

    async def _asked(self, adapter: Adapter) -> Probe | RouterError:
        timeout_s = self._settings.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await adapter.probe(timeout_s=timeout_s)
        except TimeoutError:
            return BackendTimeout(f"{adapter.config.name} did not answer within {timeout_s:g} s")
        except RouterError as error:
            return error

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

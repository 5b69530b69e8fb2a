"""Other settings while the router runs: everything that they decide is swapped at once, or nothing is."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from time import time
from typing import Protocol

from pydantic import ValidationError

from router.admission.gate import Gate
from router.canonical.adapter import Adapter
from router.lanes import lanes_of
from router.launcher import Launcher
from router.live import Live
from router.relay.fleet import Change, Fleet
from router.routing.prober import Prober
from router.settings import Settings
from router.settings.serving import AuthSettings
from router.storage.roster import Additions

logger = logging.getLogger(__name__)

CLOSE_S = 5.0
SHOWN_PROBLEMS = 10


class Locks(Protocol):
    """Who may call."""

    def replace(self, auth: AuthSettings) -> None:
        """This is what the settings say from now on."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What follows the settings."""

    fleet: Fleet
    gate: Gate
    prober: Prober
    locks: Locks
    launcher: Launcher


class Reload:
    """Takes over settings. `rebuilt` makes a fleet of them and of the owners of private backends, with the adapters of
    this one wherever they are the same.

    `apply` and `refuse` are synchronous: no request ever sees a part of a change.
    """

    def __init__(self, parts: Parts, live: Live, rebuilt: Callable[[Settings, Mapping[str, str]], Fleet]) -> None:
        self.live = live
        self._parts = parts
        self._rebuilt = rebuilt
        self._written = live.settings.server
        self._file = live.settings
        self._added = Additions()
        self._changes: asyncio.Queue[Change] = asyncio.Queue()
        self._retired: dict[int, Adapter] = {}

    def apply(self, wanted: Settings) -> bool:
        """The settings are in force when it returns, but for those of `server`; False if they cannot be."""
        try:
            settings = _beside(self.live.settings, wanted, self._added)
        except ValidationError as error:
            told = "; ".join(each["msg"] for each in error.errors(include_url=False, include_input=False))
            self.refuse((f"with the address that the router listens on, which a restart would change: {told}",))
            return False
        live, self._file = self.live, wanted
        live.waiting = _differences(live.settings, wanted, self._written)
        live.problems, live.since = (), time()
        live.applied += 1
        self._become(settings)
        if live.waiting:
            logger.warning("settings: %s cannot change while running: restart for it", ", ".join(live.waiting))
        logger.info("the settings are in force")
        return True

    @property
    def written(self) -> Settings:
        """What the file says, or whatever else the router was started with: the settings without what was added."""
        return self._file

    def add(self, added: Additions) -> None:
        """Backends besides those of the file, which come first where names are the same. In force when it returns."""
        before, self._added = self._added, added
        if replace(before, selected=added.selected) == added:
            self._parts.fleet.select(self._selected())
        else:
            self._become(_beside(self.live.settings, self._file, self._added))

    def _selected(self) -> dict[str, str]:
        """The model that somebody selected on a backend, by the router's names for them."""
        ids = {**self._added.ids, **{name: name for name in self._file.backends}}
        return {name: model for name, each in ids.items() if (model := self._added.selected.get(each))}

    def _become(self, settings: Settings) -> None:
        parts, self.live.settings = self._parts, settings
        settings = settings.model_copy(update={"backends": {**settings.backends, **self._added.private}})
        change = parts.fleet.become(self._rebuilt(settings, self._added.owners))
        parts.fleet.select(self._selected())
        parts.gate.become(lanes_of(settings, parts.fleet), max_wait_s=settings.queue.max_wait, moved=change.moved)
        parts.launcher.become(settings)
        parts.prober.become(parts.fleet.adapters, settings.health, optional=parts.fleet.optional)
        parts.locks.replace(settings.auth)
        self._tell(change)
        self._retired.update({id(adapter): adapter for adapter in change.retired})
        self._changes.put_nowait(change)

    def started_with(self, written: Settings) -> None:
        """What the file said at the start, should the command line have said otherwise."""
        self._written = written.server

    def refuse(self, problems: Sequence[str]) -> None:
        """The file cannot be used: what is in force stays so."""
        self.live.problems = tuple(problems[:SHOWN_PROBLEMS])
        self.live.refused += 1
        for problem in self.live.problems:
            logger.error("the changed settings are not used: %s", problem)

    @asynccontextmanager
    async def running(self, _: object) -> AsyncGenerator[None]:
        """While it lasts, what changes take away is closed once nobody uses it."""
        tidying = asyncio.create_task(self._tidy(), name="reload")
        try:
            yield
        finally:
            tidying.cancel()
            await asyncio.wait((tidying,), timeout=CLOSE_S)
            for adapter in tuple(self._retired.values()):
                await self._close(adapter)

    async def _tidy(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._settled(await self._changes.get()))

    async def _settled(self, change: Change) -> None:
        adapters = self._parts.fleet.adapters
        fresh = [adapters[name] for name in (*change.added, *change.changed) if name in adapters]
        await asyncio.gather(*(adapter.warm_up() for adapter in fresh))
        await change.is_over.wait()
        for adapter in change.retired:
            await self._close(adapter)
        for name in change.removed:
            logger.info("removed backend %s is closed: nothing runs there any more", name)

    async def _close(self, adapter: Adapter) -> None:
        self._retired.pop(id(adapter), None)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await adapter.aclose()

    def _tell(self, change: Change) -> None:
        for word, names in (("new", change.added), ("changed", change.changed), ("removed", change.removed)):
            if names:
                logger.info("settings: %s backends: %s", word, ", ".join(names))
        for name in () if change.is_over.is_set() else change.removed:
            if running := self._parts.fleet.health[name].in_flight:
                logger.info("backend %s is removed: %d requests finish there", name, running)


def _beside(running: Settings, wanted: Settings, added: Additions) -> Settings:
    """The wanted settings with the server and the database that run. They are checked together, since an address may
    need a key.
    """
    kept = {"server": running.server.model_dump(), "database": running.database.model_dump()}
    document = {**wanted.model_dump(), **kept}
    more = {name: each.model_dump() for name, each in added.shared.items() if name not in wanted.backends}
    document["backends"] = {**document["backends"], **more}
    return Settings.model_validate(document)


def _differences(running: Settings, wanted: Settings, written: object) -> tuple[str, ...]:
    """Which settings that need a restart the file says otherwise than what runs, though it did not at the start."""
    server = (
        f"server.{name}"
        for name in type(wanted.server).model_fields
        if getattr(wanted.server, name) not in (getattr(running.server, name), getattr(written, name))
    )
    database = (
        f"database.{name}"
        for name in type(wanted.database).model_fields
        if getattr(wanted.database, name) != getattr(running.database, name)
    )
    return (*server, *database)

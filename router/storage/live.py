"""The database of a running router: opened beside the first answers, and gone without stopping any.

Nothing here imports a database library before a database is opened.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from router.access.callers import Callers
from router.access.directory import KeyDirectory
from router.access.keys import NewKey
from router.access.limits import Limits
from router.errors import StorageUnavailable
from router.storage.location import StorageProblem, database_url, sqlite_file
from router.storage.peek import may_hold_keys
from router.storage.roster import Roster
from router.storage.secret_key import read_keys
from router.storage.state import StorageState
from router.storage.usage_buffer import UsageBuffer

if TYPE_CHECKING:
    from router.storage.stored import Stored

OPENING = "the database is being opened"
LEFT_FREE_S = 10.0
"""How long the first answers have the machine to themselves, where no key has to be known."""
CLOSE_S = 15.0
RETRY_S = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database is and where its secret key; `folder` None is nowhere, an empty `url` a file in it.

    Usage older than `keep_days` is deleted, if that is said.
    """

    url: str
    folder: Path | None
    environ: Mapping[str, str] = field(repr=False)
    keep_days: int | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What is read from the database whenever somebody changes it."""

    callers: Callers
    keys: KeyDirectory
    limits: Limits
    roster: Roster = field(default_factory=Roster)


class Storage:
    """`usage.record` is the sink of records. `first_key` is given the key that a database without users gets."""

    def __init__(self, place: Place, memory: Memory, *, first_key: Callable[[NewKey], None] | None = None) -> None:
        self._place = place
        self._memory = memory
        self._first_key = first_key
        self._stored: Stored | None = None
        self._reason = OPENING
        self._closing = asyncio.Event()
        self.usage = UsageBuffer()
        self.opened = asyncio.Event()

    @property
    def state(self) -> StorageState:
        if self._stored is None:
            return StorageState(self._reason == OPENING, self._reason, len(self.usage), 0, self.usage.lost)
        state = self._stored.database.state
        return StorageState(state.ok, state.reason, state.waiting, state.written, state.lost)

    @property
    def stored(self) -> "Stored":
        """What can be read and changed; raises StorageUnavailable as long as the database was not opened."""
        if self._stored is None:
            raise StorageUnavailable(self._reason, retry_after=RETRY_S)
        return self._stored

    @asynccontextmanager
    async def at_work(self, calm: asyncio.Event) -> AsyncGenerator[None]:
        """Opens the database meanwhile, at once or when it is `calm`; at the end, what is unwritten is written."""
        urgent = await asyncio.to_thread(self._has_keys)
        if not urgent:
            self._memory.keys.presume_empty()
        running = asyncio.create_task(self._run(None if urgent else calm), name="storage")
        try:
            yield
        finally:
            self._closing.set()
            await asyncio.wait((running,), timeout=CLOSE_S)
            running.cancel()

    def _has_keys(self) -> bool:
        try:
            file = sqlite_file(database_url(self._place.url, self._place.folder))
        except StorageProblem:
            return True
        return file is None or may_hold_keys(file)

    async def _run(self, calm: asyncio.Event | None) -> None:
        if calm is not None:
            await self._first_of(calm, within_s=LEFT_FREE_S)
        if self._closing.is_set() and not len(self.usage):
            return
        try:
            await self._open()
        except StorageProblem as error:
            self._stored, self._reason = None, str(error)
            logger.error("the database is not used: %s", error)  # noqa: TRY400 (the reason is all there is to say)

    async def _open(self) -> None:
        url = database_url(self._place.url, self._place.folder)
        secrets = await asyncio.to_thread(read_keys, self._place.environ, self._place.folder)
        await asyncio.to_thread(import_module, "router.storage.stored")  # takes long
        from router.storage.database import open_database
        from router.storage.retention import deleting
        from router.storage.seal import Seal
        from router.storage.stored import Stored, opening

        async with (
            open_database(url, Seal(secrets), opening(self._memory, self.usage)) as database,
            deleting(database, keep_days=self._place.keep_days),
        ):
            self._stored = Stored.of(database)
            await self._greet(self._stored)
            self.opened.set()
            await self._closing.wait()

    async def _greet(self, stored: "Stored") -> None:
        """The first key, once the database takes it."""
        while self._first_key is not None and not self._closing.is_set():
            try:
                made = await stored.keys.first_admin_key()
            except StorageUnavailable:
                await self._first_of(self._closing, within_s=RETRY_S)
                continue
            if made is not None:
                self._first_key(made)
            return

    async def _first_of(self, event: asyncio.Event, *, within_s: float) -> None:
        waits = {asyncio.create_task(each.wait()) for each in (event, self._closing)}
        try:
            await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

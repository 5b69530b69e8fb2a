"""The database as the rest of the router meets it: opened once, read with a deadline, changed through the writer."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar, cast

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from router.errors import StorageUnavailable
from router.storage.engine import identity, make_engine
from router.storage.follower import Follower
from router.storage.location import StorageProblem, sqlite_file
from router.storage.migrate import upgrade_over
from router.storage.pepper import ensure_pepper
from router.storage.reasons import failures, reason_of
from router.storage.seal import Seal
from router.storage.state import StorageState
from router.storage.tables import RevisionRow
from router.storage.usage_buffer import UsageBuffer
from router.storage.writer import Writer

Result = TypeVar("Result")

READ_S = 10.0
FIRST_TRY_S = 20.0
CLOSE_S = 5.0
RETRY_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What one needs to know to read: the revision that is read, and what opens what is sealed and hashed."""

    revision: int
    pepper: bytes
    seal: Seal


Listener = Callable[[AsyncSession, Reading], Awaitable[None]]
"""Reads anew what it keeps in memory: at the start and after every change of any router. One runs at a time."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How to open a database: what listens to it, who hears what keys have spent today, and what is to be written."""

    listeners: Sequence[Listener] = ()
    seeds: Sequence[Listener] = ()
    buffer: UsageBuffer = field(default_factory=UsageBuffer)


class Database:
    """Made by `open_database`, which also ends it."""

    def __init__(self, url: str, seal: Seal, opening: Opening) -> None:
        self.seal = seal
        self._url = url
        self._opening = opening
        self._file = sqlite_file(url)
        self._identity: tuple[int, int] | None = None
        self._engine = make_engine(url)
        self._failures = failures()
        self._pepper: bytes | None = None
        self._revision: int | None = None
        self._turn = asyncio.Lock()  # what was read earlier never replaces what was read later
        self._reason = ""
        self.writer = Writer(self._engine, self, buffer=opening.buffer)

    @property
    def state(self) -> StorageState:
        writing = self.writer.state
        reason = writing.reason or self._reason
        return StorageState(not reason, reason, writing.waiting, writing.written, writing.lost)

    @property
    def pepper(self) -> bytes:
        """What API keys are hashed with; raises StorageUnavailable as long as the database was never ready."""
        if self._pepper is None:
            raise StorageUnavailable("the database was never ready", retry_after=RETRY_AFTER_S)
        return self._pepper

    async def read(self, query: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        """What a query gives; raises StorageUnavailable if the database does not answer it in time."""
        try:
            async with asyncio.timeout(READ_S), AsyncSession(self._engine) as session:
                return await query(session)
        except self._failures as error:
            raise StorageUnavailable(reason_of(error), retry_after=RETRY_AFTER_S) from None

    async def change(self, change: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        """Makes a change that every router hears of; this one has, when it is done.

        It begins with the revision's row, so changes happen one after the other, on PostgreSQL too. Raises what
        `change` raises, or StorageUnavailable.
        """

        async def counted(session: AsyncSession) -> Result:
            await session.execute(update(RevisionRow).values(value=col(RevisionRow.value) + 1))
            return await change(session)

        return cast("Result", await self.writer.change(counted))

    async def store(self, change: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        """Writes what no other router needs to hear of."""
        return cast("Result", await self.writer.change(change))

    async def prepare(self) -> None:
        """Creates or upgrades the tables, once for each file. Raises StorageProblem if a person has to do something."""
        await self._notice_another_file()
        if self._pepper is not None:
            return
        try:
            await upgrade_over(self._engine, self._url)
            self._pepper = await ensure_pepper(self._engine, self.seal)
            self._identity = identity(self._file) if self._file else None
        except (*self._failures, StorageProblem) as error:
            self._reason = reason_of(error)
            raise

    async def _notice_another_file(self) -> None:
        """Lets go of a SQLite file that was moved away, into which SQLite would go on writing."""
        if self._file is None or self._identity is None:
            return
        found = await asyncio.to_thread(identity, self._file)
        if found == self._identity:
            return
        await self._engine.dispose()
        if found is not None:
            self._pepper = self._revision = self._identity = None

    async def changed(self) -> None:
        """Follows the last revision; a database that fails meanwhile is looked at again by the follower."""
        with suppress(StorageUnavailable, StorageProblem):
            await self.follow()

    async def follow(self) -> None:
        """Lets every listener read anew if the revision is another than the one last seen."""
        await self._look(self._follow)

    async def seed(self) -> None:
        """Tells what keys have spent today."""
        await self._look(self._seed)

    async def _look(self, query: Callable[[AsyncSession, Reading], Awaitable[None]]) -> None:
        pepper = self.pepper

        async def looking(session: AsyncSession) -> None:
            revision = (await session.execute(select(RevisionRow.value))).scalar_one()
            await query(session, Reading(revision, pepper, self.seal))

        try:
            async with self._turn:
                await self.read(looking)
        except (StorageUnavailable, StorageProblem) as error:
            self._reason = str(error)
            raise
        self._reason = ""

    async def _follow(self, session: AsyncSession, reading: Reading) -> None:
        if reading.revision == self._revision:
            return
        for listener in self._opening.listeners:
            await listener(session, reading)
        self._revision = reading.revision

    async def _seed(self, session: AsyncSession, reading: Reading) -> None:
        for seed in self._opening.seeds:
            await seed(session, reading)

    async def dispose(self) -> None:
        async with asyncio.timeout(CLOSE_S):
            await self._engine.dispose()


@asynccontextmanager
async def open_database(url: str, seal: Seal, opening: Opening) -> AsyncGenerator[Database]:
    """A database with its writer and its follower at work. One that is locked, full or gone opens too, degraded.

    Raises StorageProblem if it belongs to a newer version or was sealed with another key. Waits for what is unwritten
    at the end, a few seconds at most.
    """
    database = Database(url, seal, opening)
    try:
        await _first_look(database)
        tasks = [
            asyncio.create_task(database.writer.run(), name="storage-writer"),
            asyncio.create_task(Follower(database).run(), name="storage-follower"),
        ]
        try:
            yield database
        finally:
            await _end(database, *tasks)
    finally:
        await database.dispose()


async def _first_look(database: Database) -> None:
    with suppress(*failures()):
        async with asyncio.timeout(FIRST_TRY_S):
            await database.prepare()
            await database.follow()
            await database.seed()


async def _end(database: Database, writing: asyncio.Task[None], following: asyncio.Task[None]) -> None:
    following.cancel()
    database.writer.stop()
    await asyncio.wait((writing,), timeout=CLOSE_S)
    writing.cancel()
    await asyncio.wait((writing, following), timeout=CLOSE_S)
    database.writer.give_up()

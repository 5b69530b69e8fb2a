"""The one task that writes: changes that people wait for first, then usage in batches."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import random
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from router.errors import StorageUnavailable
from router.storage.engine import WRITES
from router.storage.location import StorageProblem
from router.storage.reasons import DATA, OTHER, failures, reason_of
from router.storage.usage_buffer import UsageBuffer, UsageRecord
from router.storage.usage_rows import insert_usage

BATCH = 100
LINGER_S = 0.2
FIRST_BACKOFF_S = 0.1
MAX_BACKOFF_S = 10.0
TRANSACTION_S = 15.0
CHANGE_S = 10.0
"""How long somebody who changes something waits for it."""

STOPPING = "the router is stopping"

logger = logging.getLogger(__name__)

Change = Callable[[AsyncSession], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class WriterState:
    """How writing goes: `reason` is empty while it goes well; the numbers count records of usage."""

    reason: str
    waiting: int
    written: int
    lost: int


class Place(Protocol):
    """What the writer needs of the rest: getting the database ready, and hearing that a change was made."""

    async def prepare(self) -> None: ...
    async def changed(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Job:
    change: Change
    done: asyncio.Future[Any]


class Writer:
    """Runs as long as `run` does; `buffer.record` is the sink of records.

    Usage is kept and tried again when the database fails. A change is tried once: whoever asked for it is told.
    """

    def __init__(self, engine: AsyncEngine, place: Place, *, buffer: UsageBuffer) -> None:
        self.buffer = buffer
        self._engine = engine.execution_options(**{WRITES: True})
        self._place = place
        self._failures = failures()
        self._jobs: deque[_Job] = deque()
        self._work = asyncio.Event()
        self._asked = asyncio.Event()
        self._hurry = asyncio.Event()
        self._reason = ""
        self._written = 0
        self._backoff_s = FIRST_BACKOFF_S
        self._closing = False
        buffer.arrived = self._usage_arrived
        if len(buffer):
            self._usage_arrived()

    @property
    def state(self) -> WriterState:
        return WriterState(self._reason, len(self.buffer), self._written, self.buffer.lost)

    async def change(self, change: Change) -> Any:
        """Does something in one transaction and gives what it gave. What it raises is raised here.

        Raises StorageUnavailable if the database does not do it in time; then it may still happen.
        """
        job = _Job(change, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._wake()
        try:
            async with asyncio.timeout(CHANGE_S):
                return await job.done
        except TimeoutError:
            raise StorageUnavailable("the database does not take the change now", retry_after=CHANGE_S) from None

    async def run(self) -> None:
        """Writes until `stop`ped and done, or cancelled."""
        while not self._closing or self._jobs or self.buffer:
            await self._work.wait()
            self._work.clear()
            while self._jobs or self.buffer:
                await self._next_or_rest()

    def stop(self) -> None:
        """Lets `run` end once everything is written."""
        self._closing = True
        self._wake()

    def give_up(self) -> None:
        """`run` has ended: what is left is lost, and the log says so."""
        self.buffer.lose(len(self.buffer))
        if self.buffer.lost:
            logger.error("%d records of usage were not written: %s", self.buffer.lost, self._reason or "too many")
        while self._jobs:
            self._tell(self._jobs.popleft(), StorageUnavailable(STOPPING))

    def _wake(self) -> None:
        for event in (self._work, self._asked, self._hurry):
            event.set()

    def _usage_arrived(self) -> None:
        self._work.set()
        if len(self.buffer) >= BATCH:
            self._hurry.set()

    async def _next_or_rest(self) -> None:
        try:
            await self._next()
        except Exception as error:  # noqa: BLE001 (the last resort: without this task nothing is ever written again)
            logger.error("writing failed unexpectedly: %s", type(error).__name__)  # noqa: TRY400
            self._failing(OTHER)
            await self._rest(MAX_BACKOFF_S, self._asked)

    async def _next(self) -> None:
        """One transaction: a change, or else a batch of usage after a moment in which more may come."""
        self._hurry.clear()
        self._asked.clear()
        if self._jobs:
            await self._make(self._jobs.popleft())
            return
        if len(self.buffer) < BATCH:
            await self._rest(LINGER_S, self._hurry)
            if self._jobs:
                return
        await self._flush()

    async def _make(self, job: _Job) -> None:
        if job.done.done():
            return
        try:
            result = await self._transaction(job.change)
        except self._failures as error:
            self._tell(job, self._told(error))
        except Exception as error:  # noqa: BLE001 (it belongs to whoever asked for the change)
            self._tell(job, error)
        else:
            self._going_well()
            try:
                await self._place.changed()
            finally:
                if not job.done.done():
                    job.done.set_result(result)
        finally:
            self._tell(job, StorageUnavailable(STOPPING))

    def _told(self, error: Exception) -> Exception:
        reason = reason_of(error)
        if reason == DATA:
            return error
        self._failing(reason)
        return StorageUnavailable(reason, retry_after=self._backoff_s)

    @staticmethod
    def _tell(job: _Job, error: Exception) -> None:
        if not job.done.done():
            job.done.set_exception(error)

    async def _flush(self) -> None:
        batch = self.buffer.oldest(BATCH)
        try:
            await self._transaction(_inserting(batch))
        except self._failures as error:
            reason = reason_of(error)
            if reason == DATA:
                await self._one_by_one(batch)
                return
            self._failing(reason)
            pause = self._backoff_s * (0.5 + random() / 2)  # noqa: S311
            await self._rest(pause, self._asked)
            self._backoff_s = min(self._backoff_s * 2, MAX_BACKOFF_S)
        else:
            self._took(len(batch))

    async def _one_by_one(self, batch: tuple[UsageRecord, ...]) -> None:
        """A record that no database would take does not keep the others from being written."""
        for record in batch:
            try:
                await self._transaction(_inserting((record,)))
            except self._failures as error:
                if reason_of(error) != DATA:
                    return
                self.buffer.lose(1)
            else:
                self._took(1)

    async def _transaction(self, change: Change) -> Any:
        async with asyncio.timeout(TRANSACTION_S):
            try:
                await self._place.prepare()
            except StorageProblem as error:
                raise StorageUnavailable(str(error), retry_after=MAX_BACKOFF_S) from None
            async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
                return await change(session)

    def _took(self, count: int) -> None:
        self.buffer.written(count)
        self._written += count
        self._going_well()

    def _going_well(self) -> None:
        if self._reason:
            logger.info("the database takes what is written again")
        self._reason, self._backoff_s = "", FIRST_BACKOFF_S

    def _failing(self, reason: str) -> None:
        if reason != self._reason:
            logger.warning("usage is kept in memory for now: %s", reason)
        self._reason = reason

    async def _rest(self, seconds: float, unless: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(FIRST_BACKOFF_S if self._closing else seconds):
                await unless.wait()
        except TimeoutError:
            return


def _inserting(records: tuple[UsageRecord, ...]) -> Change:
    return lambda session: insert_usage(session, records)

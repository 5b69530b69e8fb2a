"""Deleting usage that is older than it is to be kept: a little at a time, between everything else that is written."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from time import time
from typing import cast

from sqlalchemy import CursorResult, delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from router.access.limits import DAY_S
from router.errors import StorageUnavailable
from router.storage.database import Database
from router.storage.tables import UsageRow

BATCH = 500
PAUSE_S = 1.0
"""Between two batches, so that whoever waits for the database comes in between."""
EVERY_S = 3600.0

logger = logging.getLogger(__name__)


class Retention:
    """Keeps today and `keep_days` days before it, days of UTC."""

    def __init__(self, database: Database, *, keep_days: int, clock: Callable[[], float] = time) -> None:
        self._database = database
        self._keep_days = keep_days
        self._clock = clock

    async def run(self) -> None:
        """Deletes now and every hour, until cancelled."""
        while True:
            try:
                deleted = await self.delete_some()
            except StorageUnavailable:
                deleted = 0
            await asyncio.sleep(PAUSE_S if deleted == BATCH else EVERY_S)

    async def delete_some(self) -> int:
        """Deletes one batch of the oldest, in the task that writes; how many."""
        before = int(self._clock() // DAY_S) - self._keep_days
        deleted = await self._database.store(lambda session: _delete_before(session, before))
        if deleted:
            logger.info("%d records of usage were older than %d days and are deleted", deleted, self._keep_days)
        return deleted


@asynccontextmanager
async def deleting(database: Database, *, keep_days: int | None) -> AsyncGenerator[None]:
    """While it lasts, what is too old is deleted; nothing ever is without a number of days."""
    if keep_days is None:
        yield
        return
    task = asyncio.create_task(Retention(database, keep_days=keep_days).run(), name="retention")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,), timeout=PAUSE_S)


async def _delete_before(session: AsyncSession, day: int) -> int:
    oldest = select(UsageRow.uid).where(UsageRow.day < day).order_by(col(UsageRow.day)).limit(BATCH)
    done = await session.execute(
        delete(UsageRow).where(col(UsageRow.uid).in_(oldest)).execution_options(synchronize_session=False)
    )
    return cast("CursorResult[None]", done).rowcount

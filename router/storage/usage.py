"""Reading what was used."""

from collections.abc import Callable, Sequence
from time import time

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from router.access.limits import Clock, Limits
from router.storage.database import Database, Listener, Reading
from router.storage.tables import ApiKeyRow, UsageRow
from router.storage.usage_buffer import UsageRecord
from router.storage.usage_totals import totals
from router.storage.values import UsageAsked, UsageTotal


class Usage:
    """Records of requests; writing them is the writer's, see `Database.writer.buffer`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(self, count: int) -> tuple[UsageRecord, ...]:
        """The last requests that were written, the newest first."""

        async def query(session: AsyncSession) -> tuple[UsageRecord, ...]:
            newest = select(UsageRow).order_by(col(UsageRow.started_at).desc(), col(UsageRow.uid)).limit(count)
            return tuple(UsageRecord(**row.model_dump()) for row in await session.scalars(newest))

        return await self._database.read(query)

    async def totals(self, asked: UsageAsked) -> tuple[UsageTotal, ...]:
        """What was used, added up."""
        return await self._database.read(lambda session: totals(session, asked))

    async def of_key(self, key_ids: Sequence[str], count: int) -> tuple[UsageRecord, ...]:
        """The last requests with some keys, the newest first."""

        async def query(session: AsyncSession) -> tuple[UsageRecord, ...]:
            newest = select(UsageRow).order_by(col(UsageRow.started_at).desc(), col(UsageRow.uid)).limit(count)
            rows = await session.scalars(newest.where(col(UsageRow.key_id).in_(key_ids)))
            return tuple(UsageRecord(**row.model_dump()) for row in rows)

        return await self._database.read(query)

    async def count(self) -> int:
        """How many requests are on record."""

        async def query(session: AsyncSession) -> int:
            return (await session.execute(select(func.count()).select_from(UsageRow))).scalar_one()

        return await self._database.read(query)


def spending_into(limits: Limits, *, monotonic: Callable[[], float], wall: Callable[[], float] = time) -> Listener:
    """Tells the limits what the keys that have a daily budget have spent today, by all routers together."""

    async def listener(session: AsyncSession, _: Reading) -> None:
        clock = Clock(monotonic(), wall())
        limits.seed(await _spent(session, clock.day), clock=clock)

    return listener


async def _spent(session: AsyncSession, day: int) -> dict[str, int]:
    tokens = func.coalesce(UsageRow.prompt_tokens, 0) + func.coalesce(UsageRow.completion_tokens, 0)
    budgeted = select(ApiKeyRow.id).where(col(ApiKeyRow.tokens_per_day).is_not(None))
    wanted = (
        select(UsageRow.key_id, func.sum(tokens))
        .where(UsageRow.day == day, col(UsageRow.key_id).in_(budgeted))
        .group_by(col(UsageRow.key_id))
    )
    return {key_id: int(total) for key_id, total in (await session.execute(wanted)).all()}

"""Writing records of usage: as often as one likes, each counts once."""

from collections.abc import Sequence
from dataclasses import fields

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from router.storage.tables import UsageRow
from router.storage.usage_buffer import UsageRecord

_COLUMNS = tuple(field.name for field in fields(UsageRecord))


async def insert_usage(session: AsyncSession, records: Sequence[UsageRecord]) -> None:
    """Adds the records that are not there yet."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    await session.execute(
        insert(UsageRow).on_conflict_do_nothing(),
        [{name: getattr(record, name) for name in _COLUMNS} for record in records],
    )

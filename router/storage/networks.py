"""The allowlist of networks."""

from collections.abc import Callable
from time import time

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from router.access.callers import Callers
from router.access.keys import new_id
from router.access.networks import AllowedNetwork, Allowlist, Grant, parse_network
from router.errors import AlreadyExists, NotFound
from router.storage.database import Database, Listener, Reading
from router.storage.tables import AllowlistRow
from router.storage.values import AllowlistEntry


class AllowedNetworks:
    def __init__(self, database: Database, *, clock: Callable[[], float] = time) -> None:
        self._database = database
        self._clock = clock

    async def add(self, allowed: AllowedNetwork) -> AllowlistEntry:
        """Raises AlreadyExists."""

        async def change(session: AsyncSession) -> AllowlistEntry:
            network, allows = str(allowed.network), allowed.grant.value
            same = select(AllowlistRow).where(AllowlistRow.network == network, AllowlistRow.allows == allows)
            if (await session.scalars(same)).first():
                raise AlreadyExists(f"{network} is on the list already", param="network")
            row = AllowlistRow(id=new_id("network"), network=network, allows=allows, created_at=self._clock())
            session.add(row)
            return _entry(row)

        return await self._database.change(change)

    async def remove(self, entry_id: str) -> None:
        """Raises NotFound."""

        async def change(session: AsyncSession) -> None:
            if (row := await session.get(AllowlistRow, entry_id)) is None:
                raise NotFound("there is no such entry")
            await session.delete(row)

        await self._database.change(change)

    async def all(self) -> tuple[AllowlistEntry, ...]:
        """Every entry, the oldest first."""
        return await self._database.read(read_allowlist)


def networks_into(callers: Callers) -> Listener:
    """Keeps what callers may do because of where they are in step with the database."""

    async def listener(session: AsyncSession, _: Reading) -> None:
        callers.allowlist = Allowlist(entry.allowed for entry in await read_allowlist(session))

    return listener


async def read_allowlist(session: AsyncSession) -> tuple[AllowlistEntry, ...]:
    rows = await session.scalars(select(AllowlistRow).order_by(col(AllowlistRow.created_at), col(AllowlistRow.id)))
    return tuple(_entry(row) for row in rows)


def _entry(row: AllowlistRow) -> AllowlistEntry:
    return AllowlistEntry(row.id, AllowedNetwork(parse_network(row.network), Grant(row.allows)), row.created_at)

"""Users and what each prefers."""

from collections.abc import Callable
from time import time

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from router.access.keys import new_id
from router.canonical.caller import Preferences
from router.errors import AlreadyExists, NotFound
from router.storage.database import Database
from router.storage.tables import BackendModelRow, BackendRow, PreferencesRow, UserRow
from router.storage.values import User


class Users:
    def __init__(self, database: Database, *, clock: Callable[[], float] = time) -> None:
        self._database = database
        self._clock = clock

    async def add(self, name: str) -> User:
        """A new user; raises AlreadyExists."""
        return await self._database.change(lambda session: add_user(session, name, now=self._clock()))

    async def all(self) -> tuple[User, ...]:
        """Every user by name."""

        async def query(session: AsyncSession) -> tuple[User, ...]:
            rows = await session.scalars(select(UserRow).order_by(col(UserRow.name)))
            return tuple(_user(row) for row in rows)

        return await self._database.read(query)

    async def enable(self, user_id: str, *, enabled: bool) -> User:
        """Raises NotFound."""

        async def change(session: AsyncSession) -> User:
            row = await the_user(session, user_id)
            row.enabled = enabled
            return _user(row)

        return await self._database.change(change)

    async def remove(self, user_id: str) -> None:
        """Removes a user, keys, preferences and private backends; what was used stays on record. Raises NotFound."""

        async def change(session: AsyncSession) -> None:
            await the_user(session, user_id)
            private = select(BackendRow.id).where(BackendRow.owner_id == user_id)
            await session.execute(delete(BackendModelRow).where(col(BackendModelRow.backend).in_(private)))
            await session.execute(delete(UserRow).where(col(UserRow.id) == user_id))

        await self._database.change(change)

    async def preferences(self, user_id: str) -> Preferences:
        """Raises NotFound for a user who is not there."""

        async def query(session: AsyncSession) -> Preferences:
            await the_user(session, user_id)
            row = await session.get(PreferencesRow, user_id)
            return preferences_of(row) if row else Preferences()

        return await self._database.read(query)

    async def prefer(self, user_id: str, preferences: Preferences) -> None:
        """Replaces what a user prefers; raises NotFound."""

        async def change(session: AsyncSession) -> None:
            await the_user(session, user_id)
            await session.merge(
                PreferencesRow(
                    user_id=user_id,
                    default_backend=preferences.default_backend,
                    default_model=preferences.default_model,
                    fallback_to_claude=preferences.fallback_to_claude,
                    use_local_for_code=preferences.use_local_for_code,
                )
            )

        await self._database.change(change)


async def add_user(session: AsyncSession, name: str, *, now: float) -> User:
    """A new user within a change; raises AlreadyExists."""
    if (await session.scalars(select(UserRow).where(UserRow.name == name))).first():
        raise AlreadyExists(f"there is a user {name} already", param="name")
    row = UserRow(id=new_id("user"), name=name, enabled=True, created_at=now)
    session.add(row)
    await session.flush()
    return _user(row)


async def the_user(session: AsyncSession, user_id: str) -> UserRow:
    """The row of a user; raises NotFound."""
    if (row := await session.get(UserRow, user_id)) is None:
        raise NotFound("there is no such user")
    return row


def preferences_of(row: PreferencesRow) -> Preferences:
    return Preferences(row.default_backend, row.default_model, row.fallback_to_claude, row.use_local_for_code)


def _user(row: UserRow) -> User:
    return User(row.id, row.name, row.enabled, row.created_at)

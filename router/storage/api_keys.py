"""API keys: made, listed, revoked, and read into memory."""

from collections.abc import Callable
from time import time

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from router.access.directory import KeyDirectory, KnownKey, Snapshot
from router.access.keys import NewKey, digest, make_key
from router.access.principal import Allowance, Principal, Scope
from router.canonical.caller import Preferences, Priority
from router.errors import NotFound
from router.storage.database import Database, Listener, Reading
from router.storage.tables import ApiKeyRow, PreferencesRow, UserRow
from router.storage.users import add_user, preferences_of, the_user
from router.storage.values import ApiKey, KeyTerms

FIRST_USER = "admin"
ADMIN_ONLY = frozenset({Scope.ADMIN})


class ApiKeys:
    def __init__(self, database: Database, *, clock: Callable[[], float] = time) -> None:
        self._database = database
        self._clock = clock

    async def create(self, user_id: str, terms: KeyTerms) -> NewKey:
        """A new key; its secret is nowhere but in what this gives. Raises NotFound for a user who is not there."""
        made = make_key()

        async def change(session: AsyncSession) -> None:
            await the_user(session, user_id)
            session.add(_row(made, user_id, terms, pepper=self._database.pepper, now=self._clock()))

        await self._database.change(change)
        return made

    async def all(self, user_id: str | None = None) -> tuple[ApiKey, ...]:
        """Every key, or those of one user, the oldest first; revoked ones too."""

        async def query(session: AsyncSession) -> tuple[ApiKey, ...]:
            wanted = select(ApiKeyRow).order_by(col(ApiKeyRow.created_at), col(ApiKeyRow.id))
            if user_id is not None:
                wanted = wanted.where(ApiKeyRow.user_id == user_id)
            return tuple(_api_key(row) for row in await session.scalars(wanted))

        return await self._database.read(query)

    async def revoke(self, key_id: str) -> None:
        """Ends a key for good; raises NotFound."""

        async def change(session: AsyncSession) -> None:
            if (row := await session.get(ApiKeyRow, key_id)) is None:
                raise NotFound("there is no such key")
            row.revoked_at = row.revoked_at or self._clock()

        await self._database.change(change)

    async def first_admin_key(self) -> NewKey | None:
        """A key to administer with, for a database without users; None if there is one. Only one router gets it."""
        made = make_key()
        terms = KeyTerms(name="first start", scopes=ADMIN_ONLY)

        async def change(session: AsyncSession) -> NewKey | None:
            if (await session.scalars(select(UserRow).limit(1))).first():
                return None
            user = await add_user(session, FIRST_USER, now=self._clock())
            session.add(_row(made, user.id, terms, pepper=self._database.pepper, now=self._clock()))
            return made

        return await self._database.change(change)


def keys_into(directory: KeyDirectory) -> Listener:
    """Keeps a directory in step with the database."""

    async def listener(session: AsyncSession, reading: Reading) -> None:
        rows = (await session.execute(select(ApiKeyRow, UserRow).join(UserRow))).all()
        wishes = {row.user_id: preferences_of(row) for row in await session.scalars(select(PreferencesRow))}
        known = [
            _known(key, user, wishes.get(user.id)) for key, user in rows if user.enabled and key.revoked_at is None
        ]
        asks = any(_scopes(key) != ADMIN_ONLY for key, _ in rows)
        directory.replace(Snapshot.of(known, pepper=reading.pepper, asks=asks))

    return listener


def _row(made: NewKey, user_id: str, terms: KeyTerms, *, pepper: bytes, now: float) -> ApiKeyRow:
    allowance = terms.allowance
    return ApiKeyRow(
        id=made.id,
        user_id=user_id,
        name=terms.name,
        prefix=made.prefix,
        digest=digest(made.secret, pepper),
        scopes=sorted(scope.value for scope in terms.scopes),
        models=None if terms.models is None else list(terms.models),
        priority=terms.priority,
        requests_per_minute=allowance.requests_per_minute,
        tokens_per_minute=allowance.tokens_per_minute,
        tokens_per_day=allowance.tokens_per_day,
        created_at=now,
        expires_at=terms.expires_at,
        revoked_at=None,
    )


def _api_key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        user_id=row.user_id,
        prefix=row.prefix,
        terms=KeyTerms(
            name=row.name,
            scopes=_scopes(row),
            models=_models(row),
            priority=row.priority,
            allowance=_allowance(row),
            expires_at=row.expires_at,
        ),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )


def _known(row: ApiKeyRow, user: UserRow, wishes: Preferences | None) -> KnownKey:
    principal = Principal(
        key_id=row.id,
        user_id=row.user_id,
        name=user.name,
        key_name=row.name,
        scopes=_scopes(row),
        models=_models(row),
        priority=Priority.__members__.get(row.priority.upper()),
        allowance=_allowance(row),
        preferences=wishes,
    )
    return KnownKey(row.digest, principal, row.expires_at)


def _scopes(row: ApiKeyRow) -> frozenset[Scope]:
    return frozenset(Scope(scope) for scope in row.scopes)


def _models(row: ApiKeyRow) -> tuple[str, ...] | None:
    return None if row.models is None else tuple(row.models)


def _allowance(row: ApiKeyRow) -> Allowance:
    return Allowance(
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        tokens_per_day=row.tokens_per_day,
    )

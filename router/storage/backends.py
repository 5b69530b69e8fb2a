"""Backends that were added at run time, their secrets sealed; and the models that backends were seen to have."""

import json
from collections.abc import Callable, Sequence
from time import time
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from router.access.keys import new_id
from router.errors import AlreadyExists, NotFound
from router.storage.database import Database, Listener, Reading
from router.storage.roster import Roster
from router.storage.seal import Purpose, Seal
from router.storage.tables import BackendModelRow, BackendRow
from router.storage.users import the_user
from router.storage.values import BackendDefinition, SeenModel, StoredBackend


class Backends:
    def __init__(self, database: Database, *, clock: Callable[[], float] = time) -> None:
        self._database = database
        self._clock = clock

    async def add(self, definition: BackendDefinition, *, owner_id: str | None = None) -> StoredBackend:
        """Raises AlreadyExists if the owner, or everybody, has one of that name; NotFound for an unknown owner."""

        async def change(session: AsyncSession) -> StoredBackend:
            if owner_id is not None:
                await the_user(session, owner_id)
            await _refuse_taken(session, definition.name, owner_id)
            now = self._clock()
            row = BackendRow(
                id=new_id("backend"), owner_id=owner_id, created_at=now, updated_at=now,
                **_columns(definition, self._database.seal),
            )  # fmt: skip
            session.add(row)
            await session.flush()
            return stored_backend(row, self._database.seal)

        return await self._database.change(change)

    async def replace(self, backend_id: str, definition: BackendDefinition) -> StoredBackend:
        """Replaces all that was said about a backend; raises NotFound or AlreadyExists."""

        async def change(session: AsyncSession) -> StoredBackend:
            row = await _the_backend(session, backend_id)
            if row.name != definition.name:
                await _refuse_taken(session, definition.name, row.owner_id)
            row.sqlmodel_update({**_columns(definition, self._database.seal), "updated_at": self._clock()})
            return stored_backend(row, self._database.seal)

        return await self._database.change(change)

    async def remove(self, backend_id: str) -> None:
        """Removes a backend and its models; raises NotFound."""

        async def change(session: AsyncSession) -> None:
            await session.delete(await _the_backend(session, backend_id))
            await session.execute(delete(BackendModelRow).where(col(BackendModelRow.backend) == backend_id))

        await self._database.change(change)

    async def all(self) -> tuple[StoredBackend, ...]:
        """Every backend by name, its secrets opened; raises StorageProblem if our key is not the one."""

        async def query(session: AsyncSession) -> tuple[StoredBackend, ...]:
            return await read_backends(session, self._database.seal)

        return await self._database.read(query)

    async def saw(self, backend: str, models: Sequence[SeenModel]) -> None:
        """Replaces the models of a backend, by its id or, for one of the settings file, its name. Which one is selected
        stays.
        """

        async def change(session: AsyncSession) -> None:
            selected = await _selected(session, backend)
            await session.execute(delete(BackendModelRow).where(col(BackendModelRow.backend) == backend))
            session.add_all(_model_row(backend, model, selected=model.name == selected) for model in models)

        await self._database.store(change)

    async def models(self, backend: str) -> tuple[SeenModel, ...]:
        async def query(session: AsyncSession) -> tuple[SeenModel, ...]:
            wanted = select(BackendModelRow).where(BackendModelRow.backend == backend)
            return tuple(_seen(row) for row in await session.scalars(wanted.order_by(col(BackendModelRow.name))))

        return await self._database.read(query)

    async def select(self, backend: str, model: str) -> None:
        """Makes a model the one of its backend; raises NotFound for one that was not seen there."""

        async def change(session: AsyncSession) -> None:
            if await session.get(BackendModelRow, (backend, model)) is None:
                raise NotFound("the backend has no such model", param="model")
            name = col(BackendModelRow.name)
            await session.execute(
                update(BackendModelRow)
                .where(col(BackendModelRow.backend) == backend)
                .values(selected=name == model)
                .execution_options(synchronize_session=False)
            )

        await self._database.change(change)


def backends_into(roster: Roster) -> Listener:
    """Keeps a roster in step with the database."""

    async def listener(session: AsyncSession, reading: Reading) -> None:
        chosen = select(BackendModelRow.backend, BackendModelRow.name).where(col(BackendModelRow.selected))
        selected = {row.backend: row.name for row in await session.execute(chosen)}
        roster.become(await read_backends(session, reading.seal), selected)

    return listener


async def read_backends(session: AsyncSession, seal: Seal) -> tuple[StoredBackend, ...]:
    """Every backend, for whoever reads within a session of its own."""
    rows = await session.scalars(select(BackendRow).order_by(col(BackendRow.name), col(BackendRow.id)))
    return tuple(stored_backend(row, seal) for row in rows)


def stored_backend(row: BackendRow, seal: Seal) -> StoredBackend:
    return StoredBackend(
        id=row.id,
        owner_id=row.owner_id,
        definition=BackendDefinition(
            name=row.name,
            kind=row.kind,
            url=row.url,
            enabled=row.enabled,
            api_key=seal.open(row.sealed_api_key, Purpose.PROVIDER_SECRETS) if row.sealed_api_key else None,
            headers=json.loads(seal.open(row.sealed_headers, Purpose.PROVIDER_SECRETS)) if row.sealed_headers else {},
            options=row.options,
        ),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _columns(definition: BackendDefinition, seal: Seal) -> dict[str, Any]:
    headers = json.dumps(dict(definition.headers)) if definition.headers else None
    return {
        "name": definition.name,
        "kind": definition.kind,
        "url": definition.url,
        "enabled": definition.enabled,
        "sealed_api_key": seal.seal(definition.api_key, Purpose.PROVIDER_SECRETS) if definition.api_key else None,
        "sealed_headers": seal.seal(headers, Purpose.PROVIDER_SECRETS) if headers else None,
        "options": dict(definition.options),
    }


async def _the_backend(session: AsyncSession, backend_id: str) -> BackendRow:
    if (row := await session.get(BackendRow, backend_id)) is None:
        raise NotFound("there is no such backend")
    return row


async def _refuse_taken(session: AsyncSession, name: str, owner_id: str | None) -> None:
    same = select(BackendRow).where(BackendRow.name == name, col(BackendRow.owner_id).is_not_distinct_from(owner_id))
    if (await session.scalars(same)).first():
        raise AlreadyExists(f"there is a backend {name} already", param="name")


async def _selected(session: AsyncSession, backend: str) -> str | None:
    wanted = select(BackendModelRow.name).where(BackendModelRow.backend == backend, col(BackendModelRow.selected))
    return (await session.scalars(wanted)).first()


def _model_row(backend: str, model: SeenModel, *, selected: bool) -> BackendModelRow:
    return BackendModelRow(
        backend=backend,
        name=model.name,
        size=model.size,
        details=dict(model.details),
        last_seen=model.last_seen,
        selected=selected,
    )


def _seen(row: BackendModelRow) -> SeenModel:
    return SeenModel(name=row.name, size=row.size, details=row.details, last_seen=row.last_seen, selected=row.selected)

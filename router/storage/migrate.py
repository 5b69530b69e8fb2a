"""Bringing a database to the tables that this version knows."""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from router.storage.engine import WRITES, create_file, make_engine
from router.storage.location import StorageProblem, sqlite_file

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0001"
"""The newest revision: a database that has it is ready without Alembic, which takes long to import."""
SCRIPTS = Path(__file__).parent / "migrations"
LOCK = 0x7475726E6F7574
"""PostgreSQL's advisory lock of whoever upgrades: `turnout` in ASCII."""


def known_revisions() -> tuple[str, ...]:
    """Every revision, the oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config())
    return tuple(reversed([script.revision for script in scripts.walk_revisions()]))


async def upgrade(url: str, *, to: str = HEAD) -> str:
    """Creates or upgrades the database at `url`; what `turnout db upgrade` does. Gives its revision afterwards."""
    engine = make_engine(url)
    try:
        return await upgrade_over(engine, url, to=to)
    finally:
        await engine.dispose()


async def upgrade_over(engine: AsyncEngine, url: str, *, to: str = HEAD) -> str:
    """The same over an engine. Routers that start together wait for each other; all of it happens or none.

    Raises StorageProblem for a database of a newer version, and what the driver raises for one that is not there.
    """
    if file := sqlite_file(url):
        await asyncio.to_thread(create_file, file)
    async with engine.execution_options(**{WRITES: True}).begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        return await connection.run_sync(_upgrade, to)


def _upgrade(connection: Connection, to: str) -> str:
    current = _revision(connection)
    if current == to:
        return to
    if current is not None and current not in known_revisions():
        raise StorageProblem("the database belongs to a newer version of Turnout")
    from alembic import command

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    return _revision(connection) or ""


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config

"""Connections: SQLite with a write-ahead log, or PostgreSQL over asyncpg."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from router.storage.location import StorageProblem, sqlite_file

CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 10.0
LOCK_TIMEOUT_S = 2.0
POOL_SIZE = 4
WRITES = "turnout_writes"
"""Execution option of connections whose transactions take SQLite's write lock at their start."""

_PRAGMAS = (
    f"PRAGMA busy_timeout = {int(LOCK_TIMEOUT_S * 1000)}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = NORMAL",
)


def make_engine(url: str) -> AsyncEngine:
    """An engine that has not connected yet. Errors of it never repeat the values that were sent.

    Raises StorageProblem for what is no address.
    """
    if file := sqlite_file(url):
        return _sqlite_engine(file)
    try:
        return _postgres_engine(make_url(url))
    except (ArgumentError, ValueError):
        raise StorageProblem("the address of the database cannot be read") from None


def create_file(file: Path) -> None:
    """Makes an empty database file that only its owner can read, unless there is a file."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))


def identity(file: Path) -> tuple[int, int] | None:
    """What stays the same while a file is the same one; None if there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _sqlite_engine(file: Path) -> AsyncEngine:
    # mode=rw: a file that vanished is an error, never a new and empty database.
    query = {"mode": "rw", "uri": "true", "timeout": str(LOCK_TIMEOUT_S)}
    address = URL.create("sqlite+aiosqlite", database=file.absolute().as_uri(), query=query)
    engine = create_async_engine(
        address, hide_parameters=True, pool_size=POOL_SIZE, max_overflow=0, pool_timeout=CONNECT_TIMEOUT_S
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # or sqlite3 begins transactions by itself, and too late
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres_engine(url: URL) -> AsyncEngine:
    query = dict(url.query)
    if mode := query.pop("sslmode", None):
        query["ssl"] = mode
    address = url.set(drivername="postgresql+asyncpg", query=query)
    return create_async_engine(
        address,
        hide_parameters=True,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_pre_ping=True,
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": COMMAND_TIMEOUT_S,
            "server_settings": {"application_name": "turnout"},
        },
    )

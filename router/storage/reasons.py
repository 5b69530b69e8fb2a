"""Why a database did not do what it was asked, in words without path, address or value."""

import sys
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from router.errors import StorageUnavailable
from router.storage.location import StorageProblem

DATA = "data"
"""Not the database's fault: the value itself cannot be stored."""

SILENT = "the database does not answer"
UNREACHABLE = "the database cannot be reached"
OTHER = "the database failed"
LOCKED = "the database is locked"
FULL = "the disk of the database is full"
READ_ONLY = "the database is read-only"
DAMAGED = "the file of the database is damaged"
STRANGE = "the database does not have the expected tables"

_SQLITE: Mapping[int, str] = {
    1: STRANGE,
    5: LOCKED,
    6: LOCKED,
    8: READ_ONLY,
    10: "the disk of the database reports errors",
    11: DAMAGED,
    13: FULL,
    14: "the file of the database cannot be opened",
    18: DATA,
    19: DATA,
    20: DATA,
    25: DATA,
    26: DAMAGED,
}
_POSTGRES: Mapping[str, str] = {
    "53100": FULL,
    "25006": READ_ONLY,
    "08": UNREACHABLE,
    "22": DATA,
    "23": DATA,
    "28": "the database refuses the login",
    "3D": "the database does not exist",
    "40": LOCKED,
    "42": STRANGE,
    "53": "the database has no room for another connection",
    "55": LOCKED,
    "57": UNREACHABLE,
}


def failures() -> tuple[type[Exception], ...]:
    """What a database that is locked, full or gone may raise, also while it is connected to."""
    found: tuple[type[Exception], ...] = (SQLAlchemyError, StorageUnavailable, OSError, OverflowError)
    if driver := sys.modules.get("asyncpg"):  # one that was never imported raises nothing
        found = (*found, driver.PostgresError, driver.InterfaceError)
    return found


def reason_of(error: Exception) -> str:
    """The reason in plain words, or DATA."""
    if isinstance(error, StorageProblem | StorageUnavailable):
        return str(error)
    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    if (code := getattr(cause, "sqlite_errorcode", None)) is not None:
        return _SQLITE.get(int(code) & 0xFF, OTHER)
    if state := getattr(cause, "sqlstate", None):
        return _POSTGRES.get(state) or _POSTGRES.get(str(state)[:2], OTHER)
    if isinstance(error, TimeoutError | PoolTimeout):
        return SILENT
    if isinstance(error, OverflowError) or (isinstance(error, StatementError) and not isinstance(error, DBAPIError)):
        return DATA
    is_misuse = isinstance(error, SQLAlchemyError) and not isinstance(error, DBAPIError)
    return OTHER if is_misuse else UNREACHABLE

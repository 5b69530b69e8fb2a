"""Where the database is: what the settings say, or a file in the platform's data directory."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

APP = "turnout"
FILE_NAME = "turnout.db"
KEY_FILE_NAME = "secret.key"
DIRECTORY_VARIABLE = "TURNOUT_DATA_DIR"
_POSTGRES = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})


class StorageProblem(Exception):
    """The database cannot be used until a person mends something; the message says what, and no secret or path."""


def data_directory(environ: Mapping[str, str]) -> Path:
    """Where the router keeps its files: `TURNOUT_DATA_DIR`, or what the platform has for such."""
    if chosen := environ.get(DIRECTORY_VARIABLE):
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path(APP, appauthor=False)


def database_url(configured: str | None, environ: Mapping[str, str]) -> str:
    """The address for `open_storage`: `sqlite:///FILE` or `postgresql://...`. Raises StorageProblem for others."""
    if not configured:
        return f"sqlite:///{data_directory(environ) / FILE_NAME}"
    scheme = urlsplit(configured).scheme
    if scheme == "sqlite" and configured.removeprefix("sqlite:///") not in {"", configured}:
        return configured
    if scheme in _POSTGRES:
        return configured
    raise StorageProblem("a database is sqlite:///FILE or postgresql://USER@HOST/NAME")


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database, None for another."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None

"""Where the database is: what the settings say, or a file in the data folder."""

from pathlib import Path
from urllib.parse import urlsplit

FILE_NAME = "turnout.db"
KEY_FILE_NAME = "secret.key"
_POSTGRES = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})


class StorageProblem(Exception):
    """The database cannot be used until a person mends something; the message says what, and no secret or path."""


def database_url(configured: str | None, folder: Path | None) -> str:
    """The address for `open_database`: `sqlite:///FILE`, by default one in the data folder, or `postgresql://...`.

    Raises StorageProblem for others.
    """
    if not configured and folder is not None:
        return f"sqlite:///{folder / FILE_NAME}"
    configured = configured or ""
    scheme = urlsplit(configured).scheme
    if scheme == "sqlite" and configured.removeprefix("sqlite:///") not in {"", configured}:
        return configured
    if scheme in _POSTGRES:
        return configured
    raise StorageProblem("a database is sqlite:///FILE or postgresql://USER@HOST/NAME")


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database, None for another."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None

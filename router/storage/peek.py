"""A quick look into a SQLite file with what Python itself brings, long before a database is open."""

from contextlib import closing
from pathlib import Path

PATIENCE_S = 0.1
_ASKING = "SELECT EXISTS (SELECT 1 FROM api_keys WHERE scopes <> '[\"admin\"]')"


def may_hold_keys(file: Path) -> bool:
    """Whether there may be keys for more than administering in it; only a clear no is one."""
    if not file.exists():
        return False
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE_S)) as opened:
            return bool(opened.execute(_ASKING).fetchone()[0])
    except sqlite3.Error:
        return True

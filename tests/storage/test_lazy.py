"""Nobody pays for a database who has none."""

import subprocess
import sys

HEAVY = ("sqlalchemy", "sqlmodel", "alembic", "asyncpg", "aiosqlite", "cryptography", "sqlite3")


def test_the_router_starts_without_importing_any_database_library():
    program = (
        f"import sys, router.cli, router.app, router.access.limits; print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"

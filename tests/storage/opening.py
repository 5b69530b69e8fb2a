"""A database as a test opens it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from router.storage.database import Database, Opening, open_database
from router.storage.seal import Seal

SECRET_KEY = "a secret key of a test, which is long enough"
OTHER_KEY = "another secret key of a test, long enough too"


@asynccontextmanager
async def opened(url: str, *keys: str, **opening: Any) -> AsyncGenerator[Database]:
    async with open_database(url, Seal(keys or (SECRET_KEY,)), Opening(**opening)) as database:
        yield database


async def until(holds: Callable[[], bool], within_s: float = 10) -> None:
    """Waits for something that has no event."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)

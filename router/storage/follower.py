"""Hears of changes that other routers on the same database make, within a second."""

import asyncio
from typing import Protocol

from router.storage.location import StorageProblem
from router.storage.reasons import failures

POLL_S = 0.4
SEED_S = 15.0
MAX_PAUSE_S = 5.0


class Followed(Protocol):
    async def prepare(self) -> None: ...
    async def follow(self) -> None: ...
    async def seed(self) -> None: ...


class Follower:
    """Looks at the revision again and again, less often while the database fails."""

    def __init__(self, database: Followed) -> None:
        self._database = database

    async def run(self) -> None:
        """Follows until cancelled."""
        loop = asyncio.get_running_loop()
        pause, seed_at = POLL_S, loop.time() + SEED_S
        while True:
            await asyncio.sleep(pause)
            try:
                await self._database.prepare()
                await self._database.follow()
                if loop.time() >= seed_at:
                    await self._database.seed()
                    seed_at = loop.time() + SEED_S
            except (*failures(), StorageProblem):
                pause, seed_at = min(pause * 2, MAX_PAUSE_S), loop.time()
            else:
                pause = POLL_S

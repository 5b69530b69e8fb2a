"""Hears of changes that other routers on the same database make, within a second."""

import asyncio
import logging
from typing import Protocol

from router.storage.location import StorageProblem
from router.storage.reasons import failures

POLL_S = 0.4
SEED_S = 15.0
MAX_PAUSE_S = 5.0

logger = logging.getLogger(__name__)


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
            is_time = loop.time() >= seed_at
            if await self._looked(with_seed=is_time):
                pause, seed_at = POLL_S, loop.time() + SEED_S if is_time else seed_at
            else:
                pause, seed_at = min(pause * 2, MAX_PAUSE_S), loop.time()

    async def _looked(self, *, with_seed: bool) -> bool:
        try:
            await self._database.prepare()
            await self._database.follow()
            if with_seed:
                await self._database.seed()
        except (*failures(), StorageProblem):
            return False
        except Exception as error:  # noqa: BLE001 (the last resort: without this task no change is ever heard of)
            logger.error("following the database failed unexpectedly: %s", type(error).__name__)  # noqa: TRY400
            return False
        return True

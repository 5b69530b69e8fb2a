"""A process that writes usage until it is killed: `python -m tests.storage.hammer URL NAME`.

Every line it prints is how many of its records the database has confirmed so far.
"""

import asyncio
import sys

from tests.storage.opening import opened
from tests.usage.recorded import recorded


async def hammer(url: str, name: str) -> None:
    async with opened(url) as database:
        confirmed = number = 0
        while True:
            for _ in range(7):
                database.writer.buffer.record(recorded(id=f"{name}-{number}"))
                number += 1
            await asyncio.sleep(0.001)
            if database.state.written > confirmed:
                confirmed = database.state.written
                print(confirmed, flush=True)


if __name__ == "__main__":
    asyncio.run(hammer(*sys.argv[1:]))

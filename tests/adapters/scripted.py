"""A server that says on every connection exactly the bytes it was given, for answers that no library would send."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from yarl import URL

from adapters.pool import Pool


class Wire:
    """What was asked, and how many connections were made for it; `pause_s` is the time between two pieces."""

    def __init__(self, pieces: Sequence[bytes], *, hang_up: bool, pause_s: float) -> None:
        self.connections = 0
        self.asked: list[bytes] = []
        self.lost = 0
        self._pieces = pieces
        self._hang_up = hang_up
        self._pause_s = pause_s

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._talk(reader, writer)
        finally:
            self.lost += 1
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            for piece in self._pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(self._pause_s)
            if self._hang_up:
                break


@asynccontextmanager
async def saying(
    *pieces: bytes, hang_up: bool = False, pause_s: float = 0.0, limit: int = 1024, keep_alive_s: float = 5.0
) -> AsyncIterator[tuple[Pool, Wire]]:
    """A pool of connections to such a server."""
    wire = Wire(pieces, hang_up=hang_up, pause_s=pause_s)
    async with await asyncio.start_server(wire.serve, "127.0.0.1", 0) as server:
        url = URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        pool = Pool(url, keep_alive_s=keep_alive_s, connect_s=2, limit=limit)
        try:
            yield pool, wire
        finally:
            await pool.aclose()
            async with asyncio.timeout(2):
                while wire.lost < wire.connections:
                    await asyncio.sleep(0.001)

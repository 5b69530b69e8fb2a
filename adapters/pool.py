"""A bounded number of connections to one backend, kept for the next request."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from functools import cache
from socket import SOCK_STREAM

from aiohappyeyeballs import start_connection  # pyright: ignore[reportUnknownVariableType] (socket addresses are)
from yarl import URL

from adapters.connection import Answer, Connection, Disconnected

MAX_CONNECTIONS = 1024
SECOND_ADDRESS_S = 0.25
"""When to try another address of a host beside the first one."""


class Unreachable(OSError):
    """No connection could be made."""


class UnreachableInTime(Unreachable):
    """No connection could be made in the time for it."""


class Pool:
    """Connections to one host. `keep_alive_s` must be below the time after which the backend closes idle ones.

    A place is held from asking to the end of the answer, so that no cancelled request can lose one.
    """

    def __init__(self, url: URL, *, keep_alive_s: float, connect_s: float, limit: int = MAX_CONNECTIONS) -> None:
        self._url = url
        self._keep_alive_s = keep_alive_s
        self._connect_s = connect_s
        self._places = asyncio.Semaphore(limit)
        self._free: dict[Connection, None] = {}
        self._all: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None

    async def send(self, head: bytes, body: bytes) -> Answer:
        """Sends a request and waits for the head of its answer, which is the caller's to close.

        It is sent again, on a new connection, only if one that had been used before closes without having answered a
        byte: then it had been closed while idle. Raises Unreachable or Disconnected.
        """
        await self._places.acquire()
        connection = self._waiting()
        if connection is not None:
            answer = connection.send(head, body)
            if await _begins(answer, may_be_stale=True):
                return answer
            await self._places.acquire()
        answer = (await self._connected()).send(head, body)
        await _begins(answer)
        return answer

    async def send_pieces(self, head: bytes, pieces: AsyncIterator[bytes]) -> Answer:
        """The same with a body that is still to come, on a connection of its own; no more of it than is wanted."""
        await self._places.acquire()
        connection = await self._connected()
        answer = connection.send(head, b"", is_last=True)
        try:
            async for piece in pieces:
                if answer.status:
                    break
                await connection.write(piece)
        except BaseException:
            answer.close()
            raise
        await _begins(answer)
        return answer

    def _waiting(self) -> Connection | None:
        now = asyncio.get_running_loop().time()
        while self._free:
            connection, _ = self._free.popitem()
            if connection.is_open and now - connection.free_since < self._keep_alive_s:
                return connection
            connection.abort()
        return None

    async def _connected(self) -> Connection:
        """A new connection. The place that is held for it is given back if there is none."""
        try:
            async with asyncio.timeout(self._connect_s):
                connection = await self._connect()
        except BaseException as error:
            self._places.release()
            if isinstance(error, TimeoutError):
                raise UnreachableInTime from None
            if isinstance(error, (OSError, UnicodeError)):
                raise Unreachable from None
            raise
        self._all.add(connection)
        return connection

    async def _connect(self) -> Connection:
        loop, url = asyncio.get_running_loop(), self._url
        host, is_secure = url.raw_host or "", url.scheme == "https"
        found = await loop.getaddrinfo(host, url.port, type=SOCK_STREAM)
        sock = await start_connection(found, happy_eyeballs_delay=SECOND_ADDRESS_S, interleave=1)
        _, connection = await loop.create_connection(
            lambda: Connection(self._freed, self._lost),
            sock=sock,
            ssl=_trusted() if is_secure else None,
            server_hostname=host if is_secure else None,
        )
        return connection

    def _freed(self, connection: Connection, is_reusable: bool) -> None:
        self._places.release()
        if not is_reusable:
            return
        loop = asyncio.get_running_loop()
        connection.free_since = loop.time()
        self._free[connection] = None
        if self._sweeping is None:
            self._sweeping = loop.call_later(self._keep_alive_s, self._sweep)

    def _lost(self, connection: Connection) -> None:
        self._all.discard(connection)
        self._free.pop(connection, None)

    def _sweep(self) -> None:
        """Closes what has been idle for too long; the longest idle comes first."""
        loop = asyncio.get_running_loop()
        now, self._sweeping = loop.time(), None
        for connection in tuple(self._free):
            due = connection.free_since + self._keep_alive_s
            if due > now:
                self._sweeping = loop.call_at(due, self._sweep)
                return
            del self._free[connection]
            connection.abort()

    async def aclose(self) -> None:
        """Closes every connection, those in use too."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        self._free.clear()
        for connection in tuple(self._all):
            connection.abort()
        await asyncio.sleep(0)


async def _begins(answer: Answer, *, may_be_stale: bool = False) -> bool:
    """Waits for the head of an answer; False when its connection had died while it was idle."""
    try:
        await answer.begun()
    except Disconnected:
        if may_be_stale and not answer.is_touched:
            return False
        raise
    except BaseException:
        answer.close()
        raise
    return True


@cache
def _trusted() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context

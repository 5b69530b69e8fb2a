"""A server that closes its connections when nobody expects it."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self


class Fickle:
    """Answers `requests_each` requests on each connection with one body; at the next one it hangs up.

    With `late_end_s`, the body is chunked and its end follows that much later, in seconds.
    """

    def __init__(self, body: bytes, *, requests_each: int, late_end_s: float | None = None) -> None:
        self.connections = 0
        self.requests = 0
        self._each = requests_each
        self._late_end_s = late_end_s
        framing = f"Content-Length: {len(body)}" if late_end_s is None else "Transfer-Encoding: chunked"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{framing}\r\n\r\n".encode()
        self._answer = head + (body if late_end_s is None else b"%x\r\n%b\r\n" % (len(body), body))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            for served in range(self._each + 1):
                await self._request(reader)
                self.requests += 1
                if served < self._each:
                    writer.write(self._answer)
                    await writer.drain()
                    if self._late_end_s is not None:
                        await asyncio.sleep(self._late_end_s)
                        writer.write(b"0\r\n\r\n")
        writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))

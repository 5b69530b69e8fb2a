"""What goes over the wire when head and body of an answer leave together."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from router.joined_writes import JoinedWrites

pytestmark = pytest.mark.anyio

LONG_S = 10.0
GET = b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n"


class Transport(asyncio.Transport):
    """Remembers what is written, one entry for each time."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def resume_reading(self) -> None: ...

    def pause_reading(self) -> None: ...


async def whole(scope: Any, _receive: Any, send: Callable[..., Any]) -> None:
    body = scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def in_pieces(_scope: Any, _receive: Any, send: Callable[..., Any]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (b"one", b"two"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


async def written(app: Any, request: bytes, *, until: Callable[[Transport], bool]) -> Transport:
    """What one connection is written, on which a request arrived."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", access_log=False)
    config.load()
    server = uvicorn.Server(config)
    protocol, transport = JoinedWrites(config, server.server_state, {}), Transport()
    protocol.connection_made(transport)
    protocol.data_received(request)
    async with asyncio.timeout(LONG_S):
        while not until(transport):
            await asyncio.sleep(0.001)
    protocol.connection_lost(None)
    return transport


async def test_head_and_body_of_an_answer_are_one_write() -> None:
    transport = await written(whole, GET % b"a", until=lambda made: bool(made.written))
    (answer,) = transport.written
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n/a")


async def test_a_stream_begins_with_its_first_piece() -> None:
    transport = await written(in_pieces, GET % b"", until=lambda made: made.written[-1:] == [b"0\r\n\r\n"])
    first, second, _ = transport.written
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert first.endswith(b"\r\n\r\n3\r\none\r\n")
    assert second == b"3\r\ntwo\r\n"


async def test_a_head_alone_does_not_wait_for_a_body_that_takes_long() -> None:
    async def thinking(_scope: Any, _receive: Any, send: Callable[..., Any]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(LONG_S)

    transport = await written(thinking, GET % b"", until=lambda made: bool(made.written))
    assert transport.written[0].endswith(b"transfer-encoding: chunked\r\n\r\n")


async def test_an_answer_without_body_is_sent_before_the_connection_closes() -> None:
    async def empty(_scope: Any, _receive: Any, send: Callable[..., Any]) -> None:
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    transport = await written(empty, GET % b"", until=lambda made: made.closed)
    assert b"".join(transport.written).startswith(b"HTTP/1.1 204 No Content\r\n")


@asynccontextmanager
async def served(app: Any) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a real server."""
    config = uvicorn.Config(app, http=JoinedWrites, log_config=None, lifespan="off", access_log=False)
    config.load()
    state = uvicorn.Server(config).server_state
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: JoinedWrites(config, state, {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()


async def test_requests_that_came_together_are_answered_in_order() -> None:
    async with served(whole) as (reader, writer), asyncio.timeout(LONG_S):
        writer.write(b"".join(GET % name for name in (b"a", b"b", b"c")))
        for name in (b"/a", b"/b", b"/c"):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
            assert await reader.readexactly(2) == name


async def test_a_body_larger_than_any_buffer_arrives_whole() -> None:
    body = bytes(range(256)) * 16_384

    async def large(_scope: Any, _receive: Any, send: Callable[..., Any]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    async with served(large) as (reader, writer), asyncio.timeout(LONG_S):
        writer.write(GET % b"")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(body)) == body


async def test_whoever_sends_a_body_only_when_told_to_is_told() -> None:
    async def echo(_scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        message = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": message["body"]})

    async with served(echo) as (reader, writer), asyncio.timeout(LONG_S):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert await reader.readexactly(2) == b"hi"

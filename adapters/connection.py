"""One HTTP/1.1 connection to a backend: a request goes out, its answer comes in, one at a time."""

import asyncio
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MAX_HEAD_BYTES = 64 * 1024
"""How much may come of headers, or of anything else that is no body, at a stretch."""
MAX_WAITING_BYTES = 256 * 1024
"""How much may wait to be read before the backend is made to wait."""
WORTH_SKIPPING_BYTES = 16 * 1024
"""The rest of a body of known length above this is taken as it comes, past the parser."""
ONE_WRITE_BYTES = 64 * 1024
MAX_DIGITS = 16
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})


class Disconnected(OSError):
    """The connection ended, or what came over it was no HTTP, before the answer was whole."""


class Answer:
    """What has come of an answer. `close` lets go of the connection, and with it of an answer that is not whole."""

    __slots__ = ("_connection", "_error", "_pieces", "_size", "_waiter", "headers", "is_touched", "is_whole", "status")

    def __init__(self, connection: "Connection") -> None:
        self._connection: Connection | None = connection
        self._error: Disconnected | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.status = 0
        self.is_touched = False
        self.is_whole = False

    async def begun(self) -> None:
        """Waits for status and headers; raises Disconnected."""
        while not self.status:
            await self._something()

    @property
    def is_over(self) -> bool:
        """Whether it came to its end and all of it has been read."""
        return self.is_whole and not self._pieces

    def read_nowait(self) -> bytes:
        """What has arrived of the body since the last read."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if self._size > MAX_WAITING_BYTES and self._connection is not None:
            self._connection.resume()
        self._size = 0
        return data

    async def read(self) -> bytes:
        """The same, waiting for something; nothing at the end. Raises Disconnected once all that came is read."""
        while not self._pieces and not self.is_whole:
            await self._something()
        return self.read_nowait()

    def close(self) -> None:
        """Nobody reads on. May be called again."""
        if self._connection is not None:
            self._connection.abandon()

    async def _something(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def came(self, data: bytes) -> bool:
        """A piece of the body is here; whether too much of it waits now."""
        self._pieces.append(data)
        self._size += len(data)
        self.wake()
        return self._size > MAX_WAITING_BYTES

    def ended(self, error: Disconnected | None) -> None:
        """Nothing more comes; without an error, the answer is whole."""
        self._connection = None
        self._error = error
        self.is_whole = error is None
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Stage(Enum):
    HEAD = auto()
    INTERIM = auto()
    BODY = auto()
    DONE = auto()


class Connection(asyncio.Protocol):
    """Tells `freed` when an answer is over, and whether it can carry another one, and `lost` when it is gone."""

    def __init__(self, freed: "Callable[[Connection, bool], None]", lost: "Callable[[Connection], None]") -> None:
        self._freed = freed
        self._lost = lost
        self._answer: Answer | None = None
        self._parser: HttpResponseParser | None = None
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._stage = _Stage.DONE
        self._left = self._bodiless = 0
        self._keeps = self._to_the_end = self._is_more = self._is_bodiless = self._is_last = False
        self._writable: asyncio.Future[None] | None = None
        self.free_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def send(self, head: bytes, body: bytes, *, is_last: bool = False) -> Answer:
        """Sends a request on a connection that is free, and that is closed after its answer if it `is_last`."""
        self._is_last, self._is_bodiless = is_last, head.startswith(b"HEAD ")
        answer = self._answer = Answer(self)
        if not self.is_open:
            self._over(Disconnected("closed by the backend"))
            return answer
        if self._parser is None:
            self._parser = HttpResponseParser(self)
            self._parser.set_dangerous_leniencies(
                lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
            )
        self._stage = _Stage.HEAD
        self._bodiless = 0
        self._is_more = False
        if len(body) < ONE_WRITE_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        return answer

    async def write(self, data: bytes) -> None:
        """Sends a further piece of a request, as fast as the backend takes it; raises Disconnected."""
        if not self.is_open:
            raise Disconnected("closed by the backend")
        self._transport.write(data)
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def abandon(self) -> None:
        """The answer is not wanted any more: only closing tells the backend so."""
        self._over(Disconnected("closed"))

    def resume(self) -> None:
        """Goes on reading after a pause."""
        if self.is_open:
            self._transport.resume_reading()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nobody asked
            self.abort()
            return
        answer.is_touched = True
        if self._left:
            self._take(answer, data)
            return
        error = self._parsed(data)
        if self._pieces:
            self._bodiless = 0
            body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            self._left = max(0, self._left - len(body))
            if answer.came(body) and self._stage is _Stage.BODY and self.is_open:
                self._transport.pause_reading()
        else:
            self._bodiless += len(data)
        if self._stage is _Stage.DONE:
            self._over(None, is_clean=error is None and not self._is_more)
        elif error is not None or self._bodiless > MAX_HEAD_BYTES:
            self._over(error or Disconnected("headers without end"))
        else:
            answer.wake()

    def _parsed(self, data: bytes) -> Disconnected | None:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            return Disconnected(f"no HTTP answer: {type(error).__name__}")
        return None

    def _take(self, answer: Answer, data: bytes) -> None:
        """A piece of a body of known length, without the parser, which need not see it."""
        self._parser = None
        is_more = len(data) > self._left
        piece = data[: self._left] if is_more else data
        self._left -= len(piece)
        if answer.came(piece) and self._left and self.is_open:
            self._transport.pause_reading()
        if not self._left:
            self._stage = _Stage.DONE
            self._over(None, is_clean=not is_more)

    def on_message_begin(self) -> None:
        self._is_more = self._stage is _Stage.DONE

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._stage is _Stage.HEAD and self._answer is not None:
            self._answer.headers.append((name, value))

    def on_headers_complete(self) -> None:
        answer, parser = self._answer, self._parser
        if self._stage is not _Stage.HEAD or answer is None or parser is None:
            return
        status = parser.get_status_code()
        if status < 200:
            if status == 101:
                raise Disconnected("another protocol")
            self._stage = _Stage.INTERIM
            answer.headers.clear()
            return
        self._stage = _Stage.BODY
        self._keeps = parser.should_keep_alive() and not (self._is_last or self._is_bodiless)
        self._left, self._to_the_end = _framing(answer.headers)
        answer.status = status
        if self._is_bodiless:
            self._stage = _Stage.DONE

    def on_message_complete(self) -> None:
        if not self._is_more:
            self._stage = _Stage.HEAD if self._stage is _Stage.INTERIM else _Stage.DONE

    def connection_lost(self, exc: Exception | None) -> None:
        self._parser = None
        self.resume_writing()
        is_whole = exc is None and self._stage is _Stage.BODY and self._to_the_end
        self._over(None if is_whole else Disconnected("closed by the backend"))
        self._lost(self)

    def _over(self, error: Disconnected | None, *, is_clean: bool = False) -> None:
        """The answer is over; `is_clean` is whether nothing came after it."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        self._left = 0
        is_reusable = is_clean and self._keeps and self.is_open and not self._transport.get_write_buffer_size()
        if not is_reusable:
            self.abort()
        self._freed(self, is_reusable)
        answer.ended(error)


def _framing(headers: list[tuple[bytes, bytes]]) -> tuple[int, bool]:
    """The length of a long body if it is said, else 0, and whether the body goes on to the end of the connection."""
    length, is_framed = 0, False
    for name, value in headers:
        match name.lower():
            case b"content-length":
                length, is_framed = int(value) if value.isdigit() and len(value) < MAX_DIGITS else 0, True
            case b"transfer-encoding":
                return 0, False
            case _:
                pass
    return length if length > WORTH_SKIPPING_BYTES else 0, not is_framed


def head_of(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A request's head up to its end, which `framed` adds; raises ValueError for what would break it."""
    return b"%b %b HTTP/1.1\r\n%b" % (method.encode("ascii"), target, head_lines(headers))


def head_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header lines, the last one of a name counting, without those that say where a body ends."""
    lines = {name.lower(): b"%b: %b\r\n" % (name, value) for name, value in headers}
    if any(line.count(b"\r") + line.count(b"\n") != 2 or b"\0" in line for line in lines.values()):
        raise ValueError("a header with a line break")
    return b"".join(line for name, line in lines.items() if name not in _FRAMING)


def framed(head: bytes, size: int) -> bytes:
    """The whole head of a request with a body of this size."""
    return b"%bContent-Length: %d\r\n\r\n" % (head, size)

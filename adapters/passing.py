"""Requests that are passed on as they came: no reading, no translating, but deadlines and errors of our own."""

from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx

from adapters.connection import Answer, framed
from adapters.upstream import Exchange, Upstream, error_body
from router.canonical.errand import Errand
from router.dialects.failures import read
from router.errors import RejectedByBackend

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
_OF_THE_CLIENT = frozenset({400, 404, 405, 409, 422})
"""What the client can mend, told in the server's own words."""
LAST_CHUNK = b"0\r\n\r\n"


class Passing(Exchange):
    """One errand and its answer. Its silences may be as long as loading a model takes: digests are computed in them."""

    def __init__(self, upstream: Upstream, errand: Errand) -> None:
        super().__init__(upstream, errand.path, errand.body, model="", loading=True)
        self._errand = errand
        self._idle_s = upstream.config.timeouts.load

    @property
    def status(self) -> int:
        return self._answer.status if self._answer is not None else 0

    @property
    def content_type(self) -> bytes:
        """Empty where there is none to tell."""
        headers = self._answer.headers if self._answer is not None else []
        return next((value for name, value in headers if name.lower() == b"content-type"), b"")

    async def _open(self) -> None:
        """An answer to HEAD has no body that could say what is wrong: its status is all there is to tell."""
        answer = self._answer = await self._send()
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES and self._errand.method != "HEAD":
            told = read(answer.status, httpx.Headers(answer.headers), await error_body(answer))
            if answer.status in _OF_THE_CLIENT:
                raise RejectedByBackend(self._upstream.hidden(told.message), status=answer.status)
            raise self._upstream.refused(told, model="")

    async def _send(self) -> Answer:
        errand, upstream = self._errand, self._upstream
        if errand.pieces is None:
            head = upstream.head_for(errand.method, errand.path)
            return await upstream.pool.send(framed(head, len(errand.body)), errand.body)
        head = upstream.head_for(errand.method, errand.path, **{"Content-Type": "application/octet-stream"})
        return await upstream.pool.send_pieces(head + CHUNKED, self._chunks(errand.pieces))

    async def _chunks(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Every piece has the idle time to come and to be taken; then the answer has its own."""
        async for piece in pieces:
            self._deadline.wait_until(self._loop.time() + self._idle_s)
            if piece:
                yield b"%x\r\n%b\r\n" % (len(piece), piece)
        self._first_byte_at = self._loop.time() + self._first_byte_s
        self._deadline.wait_until(self._first_byte_at)
        yield LAST_CHUNK

"""Putting an answer on the wire: frame by frame, late, half, or cut off."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

from tests.fakes.answer import Answer, Finale
from tests.fakes.journal import Passage

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


async def never() -> None:
    """Ends only by the cancellation that a lost connection brings."""
    await asyncio.Event().wait()


async def send(
    request: web.Request, answer: Answer, *, pause_s: float = 0.0, passage: Passage | None = None
) -> web.StreamResponse:
    """`pause_s` is the time between two frames. Never returns when the answer stalls or is reset."""
    passage = passage or Passage()
    if answer.finale is Finale.RESET and not answer.frames:
        await _reset(request, passage)
    headers = {"Content-Type": answer.content_type, **answer.headers}
    if not answer.streamed and answer.finale is Finale.END and "Content-Length" not in headers:
        passage.over = True
        return _closing_if_said(web.Response(body=b"".join(answer.frames), status=answer.status, headers=headers))
    response = _closing_if_said(web.StreamResponse(status=answer.status, headers=headers))
    if answer.streamed:
        response.enable_chunked_encoding()
    await response.prepare(request)
    for index, frame in enumerate(answer.frames):
        if index:
            await asyncio.sleep(pause_s)
        await response.write(frame)
    if answer.finale is Finale.STALL:
        await never()
    if answer.finale is Finale.RESET:
        await _reset(request, passage)
    passage.over = True
    if not answer.streamed:
        response.force_close()
    await response.write_eof()
    return response


def _closing_if_said(response: web.StreamResponse) -> web.StreamResponse:
    headers: Mapping[str, str] = response.headers
    if headers.get("Connection", "").lower() == "close":
        response.force_close()
    return response


async def _reset(request: web.Request, passage: Passage) -> None:
    passage.over = True
    transport = request.transport
    if transport is not None:
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    await never()

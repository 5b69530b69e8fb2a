"""Reading a request's body: counted while it arrives, and with a deadline for each piece of it."""

import asyncio
from collections.abc import AsyncGenerator

from litestar.types import HTTPRequestEvent, Receive, Scope

from router.deadline import Deadline
from router.errors import BodyTimeout, BodyTooLarge
from router.surfaces.headers import header
from router.surfaces.watch import ClientLeft

PIECE_TIMEOUT_S = 60.0


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body; raises BodyTooLarge, before reading if the size was said, BodyTimeout, or ClientLeft."""
    declared = header(scope, b"content-length")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    message = await _next(receive)
    if not message["more_body"] and len(message["body"]) <= limit:
        return message["body"]
    body = bytearray(message["body"])
    while message["more_body"] and len(body) <= limit:
        message = await _next(receive)
        body += message["body"]
    if len(body) > limit:
        raise _too_large(limit)
    return bytes(body)


async def pieces(receive: Receive) -> AsyncGenerator[bytes]:
    """A body as it arrives, of any size; raises BodyTimeout or ClientLeft."""
    more = True
    while more:
        message = await _next(receive)
        more = message["more_body"]
        yield message["body"]


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the request body is larger than {limit} bytes")


async def _next(receive: Receive) -> HTTPRequestEvent:
    try:
        with Deadline(asyncio.get_running_loop().time() + PIECE_TIMEOUT_S):
            message = await receive()
    except TimeoutError:
        raise BodyTimeout(f"the request body did not go on for {PIECE_TIMEOUT_S:g} s") from None
    if message["type"] != "http.request":
        raise ClientLeft
    return message

"""The response object of every generation: send, watch for the client leaving, let go."""

import asyncio
import logging
from dataclasses import dataclass

from litestar.types import ASGIApp, Receive, Scope, Send

from router.canonical.request import ChatRequest
from router.dialects import Encoder
from router.dialects.sse import comment
from router.errors import InternalError, RouterError
from router.relay.answer import Answer
from router.relay.progress import Progress
from router.relay.relay import Relay
from router.routing.plan import Wanted
from router.surfaces.comments import NOTICE_S, waiting_for
from router.surfaces.drain import Drain
from router.surfaces.headers import RawHeaders, explaining, retrying, waiting
from router.surfaces.manner import manner_of
from router.surfaces.recording import entry_of
from router.surfaces.unexpected import log_unexpected
from router.surfaces.watch import ClientLeft, Watch

logger = logging.getLogger(__name__)

_STREAM_HEADERS: RawHeaders = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]


@dataclass(frozen=True, slots=True)
class Answering:
    """What the answers to one family of routes have in common.

    After `keepalive_s` seconds of silence a stream gets a comment.
    """

    relay: Relay
    drain: Drain
    keepalive_s: float

    def answer(self, request: ChatRequest, wanted: Wanted, encoder: Encoder) -> ASGIApp:
        """The response to one request; to be called once."""
        return _Response(self, request, wanted, encoder)


class _Response:
    """Nothing but comments is sent before a backend has begun to answer, so that an error before that keeps its
    status, unless a comment had to go out first."""

    def __init__(self, answering: Answering, request: ChatRequest, wanted: Wanted, encoder: Encoder) -> None:
        self._answering = answering
        self._request = request
        self._wanted = wanted
        self._encoder = encoder
        self._progress = Progress()
        self._started = False
        self._body = b""
        self._answers = False
        self._told = ""
        self._told_at = 0.0
        self._sending = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        self._entry = entry_of(scope)
        self._manner = manner_of(scope)
        self._entry.goes(self._request.model, self._progress, stream=self._request.stream)
        try:
            await self._watched(receive)
        except ClientLeft:
            self._entry.left()
            logger.debug("client left: %s", self._progress.backend or "before a backend was chosen")
        except RouterError as error:
            await self._fail(error)
        except Exception as error:
            if not self._started:
                raise
            log_unexpected(error, scope["path"])
            await self._fail(InternalError("the router failed unexpectedly; its log says more"))

    async def _watched(self, receive: Receive) -> None:
        stream, keepalive_s = self._request.stream, self._answering.keepalive_s
        watch = Watch(
            receive,
            drain=self._answering.drain,
            silence_s=keepalive_s if stream and self._manner.ping else None,
            first_s=min(NOTICE_S, keepalive_s),
            on_silence=self._on_silence,
        )
        self._told_at = asyncio.get_running_loop().time()
        self._watch = watch
        async with watch:
            await self._answering.relay.chat(self._request, self._wanted, self._progress, self._deliver)
            if stream:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await self._reply(200, self._body, [])

    async def _deliver(self, answer: Answer) -> None:
        if self._request.stream:
            if answer.note and self._manner.ping:
                await self._write(comment(answer.note))
            await answer.stream(self._encoder, self._write)
        else:
            self._body = await answer.body(self._encoder)
            self._progress.usage = answer.usage

    async def _write(self, piece: bytes) -> None:
        self._watch.sent()
        self._answers = True
        async with self._sending:
            if not self._started:
                await self._start(explaining(self._progress))
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def _on_silence(self) -> None:
        """Says what the request waits for when that has changed, and that we live when nothing was said for long."""
        keepalive_s, now = self._answering.keepalive_s, asyncio.get_running_loop().time()
        ping = self._manner.ping
        told, comment = ("", ping) if self._answers else waiting_for(self._progress, ping)
        if self._answers:
            self._watch.sent()
        else:
            self._watch.again(min(NOTICE_S, keepalive_s))
            if (not told or told == self._told) and now - self._told_at < keepalive_s:
                return
        self._told, self._told_at = told, now
        await self._say(comment)

    async def _say(self, comment: bytes) -> None:
        """Sends a comment, unless something is just being sent, which says that we live too."""
        if self._sending.locked():
            return
        async with self._sending:
            if not self._started:
                await self._start(waiting(self._progress))
            await self._send({"type": "http.response.body", "body": comment, "more_body": True})

    async def _start(self, explanation: RawHeaders) -> None:
        headers = [(b"content-type", self._encoder.content_type.encode()), *_STREAM_HEADERS, *explanation]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        self._started = True

    async def _reply(self, status: int, body: bytes, more: RawHeaders) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
        headers += explaining(self._progress)
        self._started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _fail(self, error: RouterError) -> None:
        """Tells the client: with a status while that is still possible, else inside the stream, without end marker."""
        self._entry.failed(error)
        if not self._started:
            body = self._manner.render_error(error, self._entry.id)
            await self._reply(self._manner.status_of(error), body, retrying(error))
            return
        logger.warning("answer of %s broke off: %s", self._progress.backend, error.code)
        await self._send({"type": "http.response.body", "body": self._encoder.error(error), "more_body": True})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

"""A pull as server-sent events, for as long as somebody follows it; it goes on without.

`event: pull` is everything so far and comes first; `progress` one word; then, at the end, `done` with the pull, or
`error` with an error as elsewhere and the pull.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import msgspec
from litestar.types import Receive, Scope, Send
from msgspec import Struct

from router.dialects import openai_chat
from router.dialects.sse import CONTENT_TYPE, PING
from router.errors import Draining, RouterError
from router.pulls.run import Run
from router.pulls.state import Pull, State
from router.surfaces.admin.model_reports import ProgressReport, pull_report, speed_of
from router.surfaces.drain import Drain
from router.surfaces.recording import entry_of
from router.surfaces.watch import ClientLeft, Watch

GAP_S = 0.1
"""Between two tellings: a server says more than anybody can see."""
CHECK_S = 0.5
"""How soon who follows notices that the router stops."""
FIRST_S = 1.0
"""So long nothing is said: until then a failure can still be told by its status."""
SHORT = 12
"""Letters of a digest that Ollama shows."""
_BEGINNINGS = frozenset({"", "pulling manifest"})
_HEADERS = [
    (b"content-type", CONTENT_TYPE.encode()),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Following:
    """The response to one who follows; to be called once. With `is_new`, what fails at once is told by its status."""

    def __init__(self, run: Run, drain: Drain, *, keepalive_s: float, is_new: bool = False) -> None:
        self._run = run
        self._drain = drain
        self._keepalive_s = keepalive_s
        self._is_new = is_new

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        try:
            async with Watch(receive):
                if self._is_new:
                    await self._begins()
                await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
                await self._follow()
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientLeft:
            entry_of(scope).left()

    async def _begins(self) -> None:
        """Waits a moment for what may go wrong at once; raises that."""
        run = self._run
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_S):
                while run.pull.is_running and run.pull.status in _BEGINNINGS:
                    await run.changed.wait()
        if run.pull.state is State.FAILED:
            raise run.failure

    async def _follow(self) -> None:
        told, run, loop = self._run.pull, self._run, asyncio.get_running_loop()
        await self._say(event("pull", pull_report(told)))
        spoke_at = loop.time()
        while True:
            changed, pull = run.changed, run.pull
            if said := b"".join(event("progress", report) for report in news(told, pull)):
                await self._say(said)
                told, spoke_at = pull, loop.time()
            if last := self._last(pull):
                await self._say(last)
                return
            if loop.time() - spoke_at >= self._keepalive_s:
                await self._say(PING)
                spoke_at = loop.time()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(CHECK_S, self._keepalive_s)):
                    await changed.wait()
                    await asyncio.sleep(GAP_S)

    def _last(self, pull: Pull) -> bytes:
        """What ends the stream, if it is to end."""
        if pull.state is State.DONE:
            return event("done", pull_report(pull))
        if not pull.is_running:
            return failed(self._run.failure, pull)
        if self._drain.draining:
            return failed(Draining("the router is shutting down: the pull goes on when it runs again"), pull)
        return b""

    async def _say(self, said: bytes) -> None:
        await self._send({"type": "http.response.body", "body": said, "more_body": True})


def news(before: Pull, after: Pull) -> Iterator[ProgressReport]:
    """What is new since: each layer that has more, then the last word if it was about none."""
    speed = speed_of(after)
    for digest, layer in after.layers.items():
        if before.layers.get(digest) != layer:
            short = digest.rpartition(":")[2][:SHORT]
            yield ProgressReport(after.id, f"pulling {short}", digest, layer.total, layer.completed, speed)
    if after.status != before.status and not after.digest:
        yield ProgressReport(after.id, after.status, None, None, None, speed)


def event(name: str, body: Struct) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(body))


def failed(error: RouterError, pull: Pull) -> bytes:
    """`{"error": {...}, "pull": {...}}`, the error in the shape that it has elsewhere."""
    told = msgspec.json.decode(openai_chat.render_error(error), type=dict[str, msgspec.Raw])
    body = msgspec.json.encode({**told, "pull": pull_report(pull)})
    return b"event: error\ndata: %b\n\n" % body

"""Watching the client while an answer is made: who leaves is forgotten at once, who waits is told that we live."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from litestar.types import Receive

from router.surfaces.drain import Drain

GRACE_S = 0.05
"""Answers that are ready sooner are not worth a task that watches for their client leaving."""


class ClientLeft(Exception):
    """The client closed the connection before its answer was whole."""


class Watch:
    """Cancels its body when the client leaves (raising ClientLeft) or when `stop` is called (raising the reason).

    A `drain` knows of it as long as it lasts; entering raises Draining when nothing new is taken.

    With `silence_s`, `on_silence` is called whenever nothing was `sent` for that long, in seconds, or when the moment
    has come for which it was asked by `again`; the first time after `first_s`.
    """

    def __init__(
        self,
        receive: Receive,
        *,
        drain: Drain | None = None,
        silence_s: float | None = None,
        first_s: float | None = None,
        on_silence: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._receive = receive
        self._drain = drain
        self._silence_s = silence_s
        self._first_s = silence_s if first_s is None else first_s
        self._on_silence = on_silence
        self._reason: Exception | None = None
        self._body: asyncio.Task[object] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._due_at = 0.0

    async def __aenter__(self) -> Self:
        if self._drain is not None:
            self._drain.enter(self)
        self._body = asyncio.current_task()
        loop = asyncio.get_running_loop()
        self._due_at = loop.time() + (self._first_s or 0.0)
        self._start = loop.call_later(GRACE_S, self._begin)
        return self

    def _begin(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._end(error)
        finally:
            if self._drain is not None:
                self._drain.leave(self)

    async def _end(self, error: BaseException | None) -> None:
        body, self._body = self._body, None
        self._on_silence = None  # belongs to whoever holds this: a circle, which would wait for the garbage collector
        self._start.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait((self._watcher,))
        if self._reason is None or body is None:
            return
        remaining = body.uncancel()
        if isinstance(error, asyncio.CancelledError) and remaining == 0:
            raise self._reason from None

    def sent(self) -> None:
        """Something went to the client just now."""
        self._due_at = asyncio.get_running_loop().time() + (self._silence_s or 0.0)

    def again(self, after_s: float) -> None:
        """Calls `on_silence` after so many seconds, whatever was sent last."""
        self._due_at = asyncio.get_running_loop().time() + after_s

    def stop(self, reason: Exception) -> None:
        """Ends the body with this exception; without effect once it has ended or is ending."""
        if self._body is not None and self._reason is None:
            self._reason = reason
            self._body.cancel()

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout_at(self._due()):
                    message = await self._receive()
            except TimeoutError:
                due = self._due()
                if due is not None and asyncio.get_running_loop().time() >= due and self._on_silence is not None:
                    await self._on_silence()
                continue
            if message["type"] == "http.disconnect":
                self.stop(ClientLeft())
                return

    def _due(self) -> float | None:
        return None if self._silence_s is None else self._due_at

"""A deadline that moves with every piece of an answer, at the price of an assignment."""

import asyncio
from math import inf
from types import TracebackType
from typing import Self


class Deadline:
    """Cancels the task that made it once its time has passed, until `close`; entered, it raises TimeoutError for that.

    `asyncio.timeout` costs twice as much and makes a new timer whenever it is moved; this one looks again when its only
    timer goes off.
    """

    __slots__ = ("_body", "_due", "_expired", "_look_at", "_loop", "_timer")

    def __init__(self, due: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._body = asyncio.current_task()
        self._expired = False
        self._due = self._look_at = due
        self._timer = self._loop.call_at(due, self._look)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.close(error):
            raise TimeoutError from error

    @property
    def has_expired(self) -> bool:
        """Whether its time has passed."""
        return self._expired

    def wait_until(self, due: float) -> None:
        """Sets the time, on the event loop's clock, by which something must have come."""
        self._due = due
        if due < self._look_at:
            self._timer.cancel()
            self._look_at = due
            self._timer = self._loop.call_at(due, self._look)

    def rest(self) -> None:
        """Nothing is waited for at the moment."""
        self._due = inf

    def close(self, error: BaseException | None) -> bool:
        """Ends it; True when it was the deadline that cancelled the task, and nobody else did."""
        self._timer.cancel()
        body, self._body = self._body, None
        if not self._expired or body is None:
            return False
        return body.uncancel() == 0 and isinstance(error, asyncio.CancelledError)

    def _look(self) -> None:
        self._look_at = self._due
        if self._due == inf:
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._look)
        elif self._body is not None:
            self._expired = True
            self._body.cancel()

"""From a request's first byte to its record: what the surfaces say about it on the way."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import time
from typing import Any

from router.access.principal import ANYBODY, Principal
from router.access.ratelimit_headers import RawHeaders
from router.canonical.events import UsageReported
from router.errors import InternalError, RouterError
from router.relay.progress import Progress
from router.surfaces.account import Account
from router.usage.arrears import Arrears
from router.usage.estimate import Bill, owed
from router.usage.record import CANCELLED, CLIENT_LEFT, OK, RequestRecord, Sink, hand_out


class Entry:
    """One request that is under way; `progress` is how far the relay has come with it."""

    __slots__ = ("_began", "account", "asked", "id", "operation", "outcome", "progress", "status", "stream")

    def __init__(self, request_id: str) -> None:
        self.id = request_id
        self.operation = ""
        self.asked = ""
        self.stream = False
        self.progress: Progress | None = None
        self.status = 0
        self.outcome = ""
        self.account: Account | None = None
        self._began = asyncio.get_running_loop().time()

    def goes(self, asked: str, progress: Progress, *, stream: bool = False) -> None:
        """The request could be read and goes to the relay."""
        self.asked = asked
        self.progress = progress
        progress.id = self.id
        self.stream = stream

    def takes(self, tokens: Callable[[], int]) -> None:
        """Takes it off what the key may use; raises LimitReached."""
        if self.account is not None:
            self.account.take(tokens)

    def limit_headers(self) -> RawHeaders:
        """How the key stands with its limits, if it has any."""
        return [] if self.account is None else self.account.headers()

    def settle(self, usage: UsageReported | None) -> None:
        """What it took is known now."""
        if self.account is not None:
            self.account.settle((usage.prompt or 0) + (usage.completion or 0) if usage else 0)

    def failed(self, error: RouterError) -> None:
        """The client is told so. Kept is our own code: a backend's could be anything."""
        self.outcome = type(error).code

    def left(self) -> None:
        """The client did not wait for the end."""
        self.outcome = CLIENT_LEFT

    def broke(self, error: BaseException) -> None:
        """An exception that nobody told the client about."""
        self.outcome = InternalError.code if isinstance(error, Exception) else CANCELLED

    def owed(self) -> Bill | None:
        """What is to be estimated of its cost, now that it is over."""
        progress = self.progress
        if progress is None or not progress.committed:
            return None
        return owed(progress.meter, progress.request, is_whole=not self.outcome)

    def record(self, key_id: str) -> RequestRecord:
        """What it came to, as of now."""
        progress = self.progress or _NONE
        meter = progress.meter
        took = asyncio.get_running_loop().time() - self._began
        first = meter.first_content_at if meter is not None and self.stream else None
        return RequestRecord(
            id=self.id,
            operation=self.operation,
            asked=self.asked,
            backend=progress.backend,
            model=progress.model,
            reason=progress.reason,
            stream=self.stream,
            status=self.status,
            outcome=self.outcome or OK,
            attempts=progress.attempts,
            failed=tuple(progress.failed),
            usage=meter.usage if meter is not None else None,
            started_at=time() - took,
            first_token_s=None if first is None else first - self._began,
            duration_s=took,
            key_id=key_id,
            is_cut=progress.is_cut,
            hedge=progress.hedge,
            resumed=progress.resumed,
            out_of_budget=progress.out_of_budget,
        )


_NONE = Progress()


class Recorder:
    """Hands the records of work, and of whatever was refused, to the sinks.

    Those `at_once` are called before the request's own context ends; the others may get theirs a little later, when
    tokens that the backend did not count have been estimated.
    """

    def __init__(self, sinks: Sequence[Sink], arrears: Arrears, *, at_once: Sequence[Sink] = ()) -> None:
        self._sinks = tuple(sinks)
        self._at_once = tuple(at_once)
        self._arrears = arrears

    def end(self, entry: Entry, state: Mapping[str, Any]) -> None:
        """A request is over. What is neither work nor a failure, such as a look at `/health`, leaves no record."""
        if not (entry.operation or entry.outcome):
            return
        principal: Principal = state.get("principal", ANYBODY)
        record = entry.record(principal.key_id)
        hand_out(record, self._at_once)
        if (bill := entry.owed()) is not None:
            self._arrears.add(bill, lambda usage: self._told(entry, replace(record, usage=usage)))
        else:
            self._told(entry, record)

    def _told(self, entry: Entry, record: RequestRecord) -> None:
        entry.settle(record.usage)
        hand_out(record, self._sinks)


def entry_of(scope: Any) -> Entry:
    """The entry of the request that an ASGI scope belongs to."""
    return scope["state"]["entry"]

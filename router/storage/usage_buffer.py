"""Records of requests that wait to be written. Never more than a bound; what does not fit is counted as lost."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from secrets import token_hex

from router.access.limits import DAY_S
from router.usage.record import RequestRecord

LIMIT = 10_000
MAX_NAME_CHARS = 200
MAX_TOKENS = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """One request as it is stored; `day` is days of UTC since 1970, `uid` is its own and nobody else's."""

    uid: str
    request_id: str
    key_id: str
    day: int
    started_at: float
    operation: str
    asked: str
    backend: str
    model: str
    stream: bool
    status: int
    outcome: str
    attempts: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    estimated: bool
    first_token_s: float | None
    duration_s: float

    @property
    def tokens(self) -> int:
        return (self.prompt_tokens or 0) + (self.completion_tokens or 0)


class UsageBuffer:
    """Takes records on the event loop without waiting; `arrived` is called for each that was taken."""

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._records: deque[tuple[int, RequestRecord]] = deque()
        self._limit = limit
        self.arrived: Callable[[], None] = lambda: None
        self._run = token_hex(8)
        self._made = 0
        self.lost = 0

    def __len__(self) -> int:
        return len(self._records)

    def record(self, record: RequestRecord) -> None:
        """A sink of records."""
        if len(self._records) >= self._limit:
            self.lost += 1
            return
        self._made += 1
        if len(record.asked) > MAX_NAME_CHARS:
            record = replace(record, asked=record.asked[:MAX_NAME_CHARS])
        self._records.append((self._made, record))
        self.arrived()

    def oldest(self, count: int) -> tuple[UsageRecord, ...]:
        """The ones to write next. They stay here until they are `written` or `lose`d."""
        waiting = islice(self._records, count)
        return tuple(usage_record(record, uid=f"{self._run}-{number:x}") for number, record in waiting)

    def written(self, count: int) -> None:
        """The oldest ones are in the database."""
        for _ in range(count):
            self._records.popleft()

    def lose(self, count: int) -> None:
        """The oldest ones are given up."""
        self.written(count)
        self.lost += count


def usage_record(record: RequestRecord, *, uid: str) -> UsageRecord:
    """A record in the form that every database takes, whatever a client or a backend put into it."""
    usage = record.usage
    return UsageRecord(
        uid=uid,
        request_id=_plain(record.id),
        key_id=record.key_id,
        day=int(record.started_at // DAY_S),
        started_at=record.started_at,
        operation=record.operation,
        asked=_plain(record.asked),
        backend=_plain(record.backend),
        model=_plain(record.model),
        stream=record.stream,
        status=record.status,
        outcome=record.outcome,
        attempts=record.attempts,
        prompt_tokens=_count(usage.prompt) if usage else None,
        completion_tokens=_count(usage.completion) if usage else None,
        cached_tokens=_count(usage.cached) if usage else None,
        reasoning_tokens=_count(usage.reasoning) if usage else None,
        estimated=usage.estimated if usage else False,
        first_token_s=record.first_token_s,
        duration_s=record.duration_s,
    )


def _plain(name: str) -> str:
    short = name[:MAX_NAME_CHARS]
    if short.isascii() and short.isprintable():
        return short
    return short.encode("utf-8", "replace").decode().replace("\0", "?")


def _count(tokens: int | None) -> int | None:
    return None if tokens is None else max(0, min(tokens, MAX_TOKENS))

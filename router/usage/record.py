"""What one request came to: made once, at its end, and handed to whoever keeps count."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from router.canonical.events import UsageReported

logger = logging.getLogger(__name__)

OK = "ok"
CLIENT_LEFT = "client_left"
CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A try at one candidate that came to nothing; `code` and `upstream_id` are those of the RouterError."""

    backend: str
    model: str
    code: str
    upstream_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request. It holds no content and no key, but `asked` is the client's own text, of any length.

    `operation` is chat, completions, embeddings, rerank, tokenize, detokenize, load or manage, or empty for a request
    that was refused at the door. `status` is what the client was sent, 0 if nothing. `outcome` is ok, client_left,
    cancelled (the router was stopped), or the code of the RouterError, also when a stream broke off after status 200.
    `backend` and `model` are those of the last attempt.
    `hedge` is won or lost where a second candidate was asked at the same time, `resumed` how often another went on
    where a stream broke off, `out_of_budget` whether a further attempt was wanted and not made.
    `started_at` is seconds since 1970, the other times are seconds from then; a whole answer has no first token.
    `key_id` tells callers apart. `is_cut` is whether the backend was found to have cut the prompt.
    """

    id: str
    operation: str
    asked: str
    backend: str
    model: str
    reason: str
    stream: bool
    status: int
    outcome: str
    attempts: int
    failed: tuple[FailedAttempt, ...]
    usage: UsageReported | None
    started_at: float
    first_token_s: float | None
    duration_s: float
    key_id: str
    is_cut: bool = False
    hedge: str = ""
    resumed: int = 0
    out_of_budget: bool = False

    @property
    def tokens_per_s(self) -> float | None:
        """How fast a stream was once it had begun; None where that says nothing."""
        tokens = self.usage.completion if self.usage else None
        if self.first_token_s is None or tokens is None or tokens < 2 or self.outcome != OK:
            return None
        took = self.duration_s - self.first_token_s
        return (tokens - 1) / took if took > 0 else None


Sink = Callable[[RequestRecord], None]
"""Takes a record. Called on the event loop at the end of every request: it must not wait for anything."""


def hand_out(record: RequestRecord, sinks: Sequence[Sink]) -> None:
    """Gives a record to every sink; one that fails is told to the log and spoils nothing else."""
    for sink in sinks:
        try:
            sink(record)
        except Exception as error:  # noqa: BLE001 (whatever a sink does, the answer was given)
            logger.error("a record was lost: %s in %s", type(error).__name__, getattr(sink, "__qualname__", "a sink"))  # noqa: TRY400

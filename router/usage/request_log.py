"""One line of log for every request: what was asked, who answered, what it cost. Never content, never keys."""

import logging

from router.usage.record import FailedAttempt, RequestRecord

LOGGER = "router.requests"
MAX_NAME_CHARS = 200

Fields = dict[str, str | int | float | bool | None]

logger = logging.getLogger(LOGGER)


class RequestLine:
    """The message of a log record: text for people, `fields` for machines, made by the thread that writes the log."""

    __slots__ = ("record",)

    def __init__(self, record: RequestRecord) -> None:
        self.record = record

    def __str__(self) -> str:
        record = self.record
        usage, first = record.usage, record.first_token_s
        parts = [
            f"{record.operation or 'refused'} {_plain(record.asked) or '-'}",
            f"-> {_plain(f'{record.backend}/{record.model}')}" if record.backend else "",
            f"{record.status or '-'} {record.outcome}",
            f"{'~' * usage.estimated}{_count(usage.prompt)}+{_count(usage.completion)} tokens" if usage else "",
            f"first {_ms(first):g} ms" if first is not None else "",
            f"total {_ms(record.duration_s):g} ms",
            f"attempt {record.attempts}" if record.attempts > 1 else "",
            f"resumed {record.resumed}" if record.resumed else "",
            f"({record.reason})" if record.reason else "",
            record.id,
        ]
        return " ".join(part for part in parts if part)

    def fields(self) -> Fields:
        """The same for a machine; times in milliseconds, null for what is not known."""
        record, usage = self.record, self.record.usage
        return {
            "id": record.id,
            "operation": record.operation,
            "model": record.asked[:MAX_NAME_CHARS],
            "backend": record.backend,
            "backend_model": record.model[:MAX_NAME_CHARS],
            "status": record.status,
            "outcome": record.outcome,
            "stream": record.stream,
            "attempts": record.attempts,
            "failed": ", ".join(_failure(failed) for failed in record.failed),
            "resumed": record.resumed,
            "hedge": record.hedge,
            "reason": record.reason,
            "prompt_tokens": usage.prompt if usage else None,
            "completion_tokens": usage.completion if usage else None,
            "cached_tokens": usage.cached if usage else None,
            "reasoning_tokens": usage.reasoning if usage else None,
            "usage": ("estimated" if usage.estimated else "exact") if usage else None,
            "first_token_ms": _ms(record.first_token_s),
            "total_ms": _ms(record.duration_s),
        }


def log_request(record: RequestRecord) -> None:
    """A sink of records."""
    if logger.isEnabledFor(logging.INFO):
        line = logger.makeRecord(LOGGER, logging.INFO, __file__, 0, RequestLine(record), (), None)
        logger.handle(line)  # logger.info would walk the stack first, to find out where it was called


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


def _failure(failed: FailedAttempt) -> str:
    """Where and why, and under which id that backend's operators would find it."""
    return f"{failed.backend}: {failed.code}" + (f" ({failed.upstream_id})" if failed.upstream_id else "")


def _plain(name: str) -> str:
    """A name on one line of a terminal, whatever a client put in it."""
    short = name[:MAX_NAME_CHARS]
    return short if short.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in short)

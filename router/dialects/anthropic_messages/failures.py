"""What Claude's errors mean."""

import re

import msgspec
from msgspec import Raw

from router.dialects.failures import BUSY_RETRY_AFTER_S, UNREADABLE, ErrorAnswer, clean
from router.dialects.failures import classify as classify_any
from router.errors import (
    BackendBusy,
    BackendOverloaded,
    BackendTimeout,
    ModelMissing,
    QuotaExhausted,
    RateLimited,
    RejectedByBackend,
    RouterError,
    StreamBroken,
)

FOREIGN_REASONING = "invalid_signature"
"""The code of a refusal that is about signed reasoning from an earlier turn."""

_SIGNATURE = re.compile(r"invalid `?signature`? in `?thinking`?", re.IGNORECASE)
_SPENT = re.compile(r"credit balance is too low|usage limits?\b|spend(ing)? limit", re.IGNORECASE)


class _Error(msgspec.Struct):
    type: str = ""
    message: str = ""


_ERROR = msgspec.json.Decoder(_Error)


def classify(answer: ErrorAnswer, *, backend: str, model: str) -> RouterError:
    """The exception that an error answer stands for."""
    said = f"{backend}: {answer.message}" if answer.message else f"{backend} answered with status {answer.status}"
    if answer.status == 400 and _SIGNATURE.search(answer.message):
        return RejectedByBackend(said, code=FOREIGN_REASONING)
    if answer.status == 404 and answer.kind == "not_found_error":
        return ModelMissing(f"The model '{model}' does not exist on {backend}.", param="model")
    if answer.status == 413:
        return RejectedByBackend(f"{backend}: the request is too large", status=413, code="request_too_large")
    return _limit(answer, said) or classify_any(answer, backend=backend, model=model)


def _limit(answer: ErrorAnswer, said: str) -> RouterError | None:
    """More than the service, or the account, can bear: for a moment, or for good when it does not say how long."""
    soon = answer.retry_after or BUSY_RETRY_AFTER_S
    match answer.status:
        case 400 if _SPENT.search(answer.message):
            return QuotaExhausted(said)
        case 429 if answer.retry_after is not None:
            return RateLimited(said, retry_after=answer.retry_after)
        case 402 | 429:
            return QuotaExhausted(said)
        case 409:
            return BackendBusy(said, retry_after=soon)
        case 529:
            return BackendOverloaded(said, retry_after=soon)
        case _:
            return None


def in_band(raw: Raw) -> RouterError:
    """The failure that an answer with status 200 reports; its message names no backend yet."""
    try:
        error = _ERROR.decode(raw)
    except UNREADABLE:
        return StreamBroken("the backend reported an error that cannot be read")
    said = clean(error.message) or "the backend reported an error without a text"
    match error.type:
        case "overloaded_error":
            return BackendOverloaded(said, retry_after=BUSY_RETRY_AFTER_S)
        case "rate_limit_error":
            return RateLimited(said, retry_after=BUSY_RETRY_AFTER_S)
        case "timeout_error":
            return BackendTimeout(said)
        case _:
            return StreamBroken(said)

"""What Anthropic's clients are told when something goes wrong."""

import re
from typing import Any

import msgspec

from router.errors import ContextLengthExceeded, RouterError

OVERLOADED = 529
"""What Anthropic's clients back off on; they do not know 503."""

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    OVERLOADED: "overloaded_error",
}
_TOO_LONG = "prompt is too long"
"""The words by which Claude Code knows that it has to make its conversation shorter."""

_IS_TOLD = re.compile(_TOO_LONG, re.IGNORECASE)


def status_of(error: RouterError) -> int:
    """The status of an error answer."""
    return OVERLOADED if error.status == 503 else error.status


def error_object(error: RouterError) -> dict[str, Any]:
    """The error itself in Anthropic's shape."""
    status = status_of(error)
    kind = _TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")
    message = error.message
    if isinstance(error, ContextLengthExceeded) and not _IS_TOLD.search(message):
        message = f"{_TOO_LONG}: {message}"
    return {"type": kind, "message": message}


def render_error(error: RouterError, request_id: str = "") -> bytes:
    """An error body in Anthropic's shape."""
    body: dict[str, Any] = {"type": "error", "error": error_object(error)}
    if request_id:
        body["request_id"] = request_id
    return msgspec.json.encode(body)

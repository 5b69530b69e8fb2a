"""A record as a request would leave it."""

from typing import Any

from router.canonical.events import UsageReported
from router.usage.record import RequestRecord

_USUAL: dict[str, Any] = {
    "id": "req_1",
    "operation": "chat",
    "asked": "coder",
    "backend": "desk",
    "model": "m",
    "reason": "alias coder",
    "stream": True,
    "status": 200,
    "outcome": "ok",
    "attempts": 1,
    "failed": (),
    "usage": UsageReported(prompt=10, completion=21, cached=4, reasoning=5),
    "started_at": 1_800_000_000.0,
    "first_token_s": 0.5,
    "duration_s": 2.5,
    "key_id": "",
}


def recorded(**fields: Any) -> RequestRecord:
    """A streamed answer of 21 tokens, 0.5 s to the first and 2 s for the others, but for what is named."""
    return RequestRecord(**(_USUAL | fields))

"""Response headers that say what the router did."""

from litestar.types import Scope

from router.canonical.events import UsageReported
from router.errors import RouterError
from router.relay.progress import Progress

MAX_VALUE = 500

RawHeaders = list[tuple[bytes, bytes]]


def header(scope: Scope, name: bytes) -> str:
    """The value of a request header by its lower-case name, empty when it was not sent."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return ""


def task_named(scope: Scope) -> str:
    """The task that the client says this is, by a header; empty when it says none."""
    return header(scope, b"x-turnout-task")


def explaining(progress: Progress) -> RawHeaders:
    """`x-turnout-*`: which backend and model, after how many attempts, why, what it was not told, who counted."""
    headers: RawHeaders = []
    for name, value in (
        (b"x-turnout-backend", progress.backend),
        (b"x-turnout-model", progress.model),
        (b"x-turnout-attempts", str(progress.attempts) if progress.attempts else ""),
        (b"x-turnout-reason", progress.reason),
        (b"x-turnout-dropped", ", ".join(progress.dropped)),
        (b"x-turnout-warning", progress.warning),
        (b"x-turnout-usage", _exactness(progress.usage)),
        (b"x-turnout-context", _headroom(progress)),
    ):
        if value:
            headers.append((name, _printable(value)))
    return headers


def _exactness(usage: UsageReported | None) -> str:
    return "" if usage is None else "estimated" if usage.estimated else "exact"


def _headroom(progress: Progress) -> str:
    """Tokens of the context window that are used, and all that there are."""
    usage = progress.usage
    if usage is None or progress.window is None or usage.prompt is None:
        return ""
    return f"{usage.prompt + (usage.completion or 0)}/{progress.window}"


def waiting(progress: Progress) -> RawHeaders:
    """What can be said before a backend has begun to answer: the backend only if no other can take over."""
    sole = progress.sole
    known = Progress(
        reason=progress.reason, backend=progress.backend if sole else "", model=progress.model if sole else ""
    )
    return explaining(known)


def retrying(error: RouterError) -> RawHeaders:
    """When to come back, in whole seconds rounded up."""
    if error.retry_after is None:
        return []
    return [(b"retry-after", str(max(1, -int(-error.retry_after // 1))).encode())]


def _printable(value: str) -> bytes:
    """A header value: nothing outside printable ASCII can break a header or a client."""
    if value.isascii() and value.isprintable():
        return value[:MAX_VALUE].encode()
    return "".join(letter if " " <= letter <= "~" else "?" for letter in value[:MAX_VALUE]).encode("ascii")

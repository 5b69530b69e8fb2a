"""What goes with every request to a backend that is made on behalf of the one being served: its trace context."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

headers: ContextVar[Mapping[str, str] | None] = ContextVar("outgoing_headers", default=None)
"""HTTP headers by name; None when there are none. Set around an attempt, read where connections are opened."""


@contextmanager
def also(more: Mapping[str, str]) -> Generator[None]:
    """Sends further headers with the requests that are made inside the context."""
    if not more:
        yield
        return
    token = headers.set({**(headers.get() or {}), **more})
    try:
        yield
    finally:
        headers.reset(token)

"""What goes with every request to a backend that is made on behalf of the one being served: its trace context."""

from collections.abc import Mapping
from contextvars import ContextVar

headers: ContextVar[Mapping[str, str] | None] = ContextVar("outgoing_headers", default=None)
"""HTTP headers by name; None when there are none. Set around an attempt, read where connections are opened."""

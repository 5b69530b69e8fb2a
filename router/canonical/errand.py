"""What a model server is asked to do with its models, passed on as it came."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Errand:
    """A request of the management API, whose `path` the router knows; `pieces` is a body too large to wait for."""

    method: str
    path: str
    body: bytes = b""
    pieces: AsyncIterator[bytes] | None = None


class Errands(Protocol):
    """The answer to one, while it is open."""

    @property
    def status(self) -> int: ...

    @property
    def content_type(self) -> bytes:
        """Empty where there is none to tell."""
        ...

    async def read(self) -> bytes:
        """What has come since the last read, waiting for something; nothing at the end. Raises RouterError."""
        ...

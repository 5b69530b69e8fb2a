"""Wire formats: bytes to hub and hub to bytes, both directions. No I/O."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from router.canonical.events import Event, Frame, UsageReported
from router.canonical.fold import Choice, Completed
from router.errors import RouterError


class Decoder(Protocol):
    """Reads one streamed answer of a backend."""

    failure: RouterError | None
    """Set when the stream itself said that it failed; the frames before it count."""

    @property
    def ended(self) -> bool:
        """Whether the end marker has come."""
        ...

    def feed(self, data: bytes) -> Sequence[Frame]:
        """The frames that a read completes."""
        ...

    def finish(self) -> Sequence[Frame]:
        """What is left at the end of the connection; raises StreamBroken when there was no end marker."""
        ...


class Encoder(Protocol):
    """Writes one answer to a client."""

    dialect: ClassVar[str]
    content_type: ClassVar[str]

    @property
    def wants_usage(self) -> bool:
        """Whether a stream has to tell what it cost."""
        ...

    def forward(self, frame: Frame) -> bytes:
        """A frame that is already in this format: as it came, or nothing when the client must not see it."""
        ...

    def encode(self, events: Sequence[Event]) -> bytes:
        """Events of any backend in this format."""
        ...

    def error(self, error: RouterError) -> bytes:
        """A failure after the answer has begun; no end marker may follow it."""
        ...

    def whole(self, completed: Completed) -> bytes:
        """A whole answer as one body."""
        ...

    def amended(
        self, raw: bytes, *, choices: Sequence[Choice] | None = None, usage: UsageReported | None = None
    ) -> bytes:
        """A whole body that is already in this format, with other choices or counts if there are any; all else stays
        as it came."""
        ...

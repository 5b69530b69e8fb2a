"""Reading an answer in events, also that of a server that does not stream: one JSON body where events should come."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from router.canonical.events import Ended, Finished, Frame
from router.dialects import sse
from router.dialects.sse import MAX_EVENT_BYTES
from router.errors import BackendFailed, RouterError, StreamBroken


class WholeBody:
    """Looks at what comes first, and collects the body if there is one: no event begins with a brace."""

    def __init__(self) -> None:
        self._untouched = True
        self._data = bytearray()

    def takes(self, data: bytes) -> bool:
        """Whether a read belongs to such a body; raises StreamBroken for one that is too large to be real."""
        if not self._untouched and not self._data:
            return False
        begun = data.lstrip() if self._untouched else data
        self._untouched = not begun
        if not self._data and not begun.startswith(b"{"):
            return False
        self._data += begun
        if len(self._data) > MAX_EVENT_BYTES:
            raise StreamBroken("the backend sent an answer that is too large")
        return True

    @property
    def data(self) -> bytes:
        """The body so far; empty where events came."""
        return bytes(self._data)


class EventReader(ABC):
    """What reads one answer: events are cut out of the bytes, a body that is no stream is told as if it were one.

    `shown` is the model name that the client is told. Whoever reads sets `_ended`.
    """

    failure: RouterError | None

    def __init__(self, shown: str) -> None:
        self.failure = None
        self._shown = shown
        self._cutter = sse.Cutter()
        self._started = False
        self._ended = False
        self._body = WholeBody()

    @property
    def ended(self) -> bool:
        """Whether the end marker has come."""
        return self._ended

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that a read completes; after a failure, nothing."""
        return [] if self._body.takes(data) else self._frames(self._cutter.feed(data))

    def finish(self) -> list[Frame]:
        """The end of the connection; raises StreamBroken unless the answer is whole."""
        if whole := self._body.data:
            return self._unstreamed(whole)
        frames = self._frames(self._cutter.finish())
        if self._ended or self.failure:
            return frames
        if not self._is_whole():
            raise StreamBroken("the backend's answer ended without its end marker")
        self._ended = True
        return [*frames, Frame(b"", (Ended(),))]

    @abstractmethod
    def _frames(self, events: Sequence[bytes]) -> list[Frame]:
        """What events say."""

    @abstractmethod
    def _whole(self, body: bytes) -> Frame:
        """A whole answer; raises BackendFailed for anything else."""

    def _break_off(self, why: str) -> None:
        """Nothing after this is read."""
        self.failure = StreamBroken(why)

    def _is_whole(self) -> bool:
        """Whether an answer counts as whole without its end marker."""
        return False

    def _unstreamed(self, body: bytes) -> list[Frame]:
        """The events of one JSON body. One that nobody understands cannot be told in pieces."""
        try:
            events = self._whole(body).events
        except BackendFailed as error:
            self._break_off(error.message)
            return []
        if not any(isinstance(event, Finished) for event in events):
            self._break_off("the backend's answer is no stream and cannot be made one")
            return []
        self._ended = True
        return [Frame(b"", events)]

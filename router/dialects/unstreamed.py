"""The answer of a server that does not stream though it was asked to: one JSON body where events should come."""

from router.dialects.sse import MAX_EVENT_BYTES
from router.errors import StreamBroken


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

"""Cutting a byte stream into lines of JSON."""

from router.errors import StreamBroken

MAX_LINE_BYTES = 32 * 1024 * 1024


class Cutter:
    """Collects reads of any size and returns whole lines, cut at 0x0A only; blank lines are left out."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes; raises StreamBroken for one that is too long to be real."""
        self._parts.append(data)
        self._size += len(data)
        if b"\n" not in data:
            if self._size > MAX_LINE_BYTES:
                raise StreamBroken("the backend sent a line without end")
            return []
        *lines, rest = b"".join(self._parts).split(b"\n")
        self._parts, self._size = [rest] if rest else [], len(rest)
        return [line for line in lines if line and not line.isspace()]

    def finish(self) -> list[bytes]:
        """The last line, when the stream ended without a line feed."""
        rest = b"".join(self._parts).strip()
        self._parts = []
        return [rest] if rest else []

"""Cutting a byte stream into server-sent events."""

from router.errors import StreamBroken

MAX_EVENT_BYTES = 32 * 1024 * 1024

PING = b": ping\n\n"
CONTENT_TYPE = "text/event-stream"


def comment(text: str) -> bytes:
    """A line that clients skip and people can read."""
    return b": " + "".join(letter if letter.isprintable() else "?" for letter in text).encode() + b"\n\n"


class Cutter:
    """Collects reads of any size and returns whole events, each without its closing blank line.

    Lines end at 0x0A only: U+0085 and U+2028 are text. CRLF is read as LF.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes; raises StreamBroken for one that is too long to be real."""
        if not self._parts and b"\r" not in data and data.endswith(b"\n\n"):
            return [event for event in data.split(b"\n\n") if event]
        self._parts.append(data)
        self._size += len(data)
        if self._size > MAX_EVENT_BYTES:
            raise StreamBroken("the backend sent an event without end")
        return [] if b"\n" not in data else self._cut()

    def _cut(self) -> list[bytes]:
        buffer = b"".join(self._parts)
        if b"\r" in buffer:
            buffer = _without_carriage_returns(buffer)
        *events, rest = buffer.split(b"\n\n")
        self._parts, self._size = [rest] if rest else [], len(rest)
        return [event for event in events if event]

    def finish(self) -> list[bytes]:
        """The last event, when the stream ended without its blank line."""
        rest = b"".join(self._parts).strip(b"\r\n")
        self._parts = []
        return [rest] if rest else []


def _without_carriage_returns(buffer: bytes) -> bytes:
    if not buffer.endswith(b"\r"):
        return buffer.replace(b"\r\n", b"\n")
    return buffer[:-1].replace(b"\r\n", b"\n") + b"\r"


def payload(event: bytes) -> bytes | None:
    """What the `data:` lines of an event say, joined by line feeds; None for a comment or a bare field."""
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None

"""The comments of a stream that has nothing to say yet: programs skip them, people see them."""

from router.dialects.sse import PING
from router.relay.progress import Progress

NOTICE_S = 1.0
"""So long nothing is said of waiting: until then a failure can still be told by its status."""


def waiting_for(progress: Progress, ping: bytes = PING) -> tuple[str, bytes]:
    """What a request waits for, in words that stay the same while nothing changes, and as a comment.

    A `ping` that is an event goes with it: its clients may not take a comment for a sign of life.
    Empty words when there is no more to say than that it goes on.
    """
    beside = b"" if ping == PING else ping
    place = progress.stay.standing() if progress.stay is not None else None
    if place is not None:
        told = f"queued position={place.position}"
        return told, f": {told} eta={place.eta_s:.0f}s\n\n".encode() + beside
    if progress.waiting:
        return progress.waiting, f": {progress.waiting}\n\n".encode() + beside
    return "", ping

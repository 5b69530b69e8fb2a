"""Reading a large JSON text without looking at each of its numbers."""

from msgspec import Raw, Struct

WORTH_BYTES = 16 * 1024
EMPTY = Raw(b"[]")
_NO_NUMBER = (b'"', b"{", b"n", b"N", b"t", b"f")
"""One of these is in every JSON value that is no number and no list, and in NaN and Infinity."""


class Skimmed(Struct, frozen=True):
    """A text with flat lists of numbers written `[]`, and those lists in order."""

    text: bytes
    lists: tuple[Raw, ...]


def skim(body: bytes, most: int) -> Skimmed | None:
    """None for a text that is short, not ASCII, has more than `most` such lists, or lists of anything else.

    How the numbers are written is not checked: their digits are the writer's word.
    """
    if len(body) < WORTH_BYTES or not body.isascii():
        return None
    view = memoryview(body)
    kept: list[bytes] = []
    lists: list[Raw] = []
    at = 0
    while (end := body.find(b"]", at)) >= 0 and (start := body.rfind(b"[", at, end)) >= 0:
        if len(lists) == most or any(body.find(sign, start, end) >= 0 for sign in _NO_NUMBER):
            return None
        kept += (body[at:start], bytes(EMPTY))
        lists.append(Raw(view[start : end + 1]))
        at = end + 1
    kept.append(body[at:])
    return Skimmed(b"".join(kept), tuple(lists))

"""Responses that clients may go on from by their id, kept in memory only and within a bound."""

from collections import OrderedDict
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from router.dialects.openai_responses import Asked

MAX_BYTES = 64 * 1024 * 1024
OVERHEAD_BYTES = 500
"""What an item or a response takes besides its text, about."""


class _Named(Struct):
    id: str | None = None


_NAMED = msgspec.json.Decoder(_Named)


class _Kept(Struct, frozen=True):
    """One response: the items that were new in its request, its own, and the response that it went on from."""

    owner: str
    items: tuple[Raw, ...]
    previous: str | None
    size: int


class Conversations:
    """The oldest goes first; whatever a response goes on from stays at least as long as that does."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def of(self, owner: str) -> "Own":
        """Those of one API key: nobody goes on from another's."""
        return Own(self, owner)

    def keep(self, owner: str, response_id: str, *, items: Sequence[Raw], previous: str | None) -> None:
        """Keeps a response; its items are copied, so that nothing else of the request stays in memory."""
        copies = tuple(item.copy() for item in items)
        size = OVERHEAD_BYTES + sum(len(bytes(item)) + OVERHEAD_BYTES for item in copies)
        if size > self._max_bytes:
            return
        self._kept[response_id] = _Kept(owner, copies, previous, size)
        self._bytes += size
        self._touch(response_id)
        while self._bytes > self._max_bytes:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.size

    def chain(self, owner: str, response_id: str) -> list[_Kept] | None:
        """A response after those that it goes on from; None when one of them is not there."""
        found: list[_Kept] = []
        at: str | None = response_id
        while at is not None:
            kept = self._kept.get(at)
            if kept is None or kept.owner != owner:
                return None
            found.append(kept)
            at = kept.previous
        self._touch(response_id)
        return found[::-1]

    def newest(self, owner: str) -> list[_Kept]:
        """All responses of an owner, the latest used first."""
        return [kept for kept in reversed(self._kept.values()) if kept.owner == owner]

    def _touch(self, response_id: str) -> None:
        at: str | None = response_id
        while at is not None and (kept := self._kept.get(at)) is not None:
            self._kept.move_to_end(at)
            at = kept.previous


class Own:
    """The responses of one API key, as its requests see them."""

    def __init__(self, conversations: Conversations, owner: str) -> None:
        self._conversations = conversations
        self._owner = owner

    def conversation(self, response_id: str) -> Sequence[Raw] | None:
        """The items that led to a response and those that it consists of; None for one that is not there."""
        chain = self._conversations.chain(self._owner, response_id)
        return None if chain is None else [item for kept in chain for item in kept.items]

    def item(self, item_id: str) -> Raw | None:
        """One item of an earlier response."""
        wanted = item_id.encode()
        for kept in self._conversations.newest(self._owner):
            for item in kept.items:
                if wanted in bytes(item) and _id(item) == item_id:
                    return item
        return None

    def keep(self, asked: Asked, response_id: str, items: Sequence[Raw]) -> None:
        """Keeps the answer to a request, if the client lets it be kept."""
        if asked.keep:
            given = (*asked.items, *items)
            self._conversations.keep(self._owner, response_id, items=given, previous=asked.previous)


def _id(item: Raw) -> str | None:
    try:
        return _NAMED.decode(item).id
    except msgspec.ValidationError:
        return None

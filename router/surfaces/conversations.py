"""Responses that clients may go on from by their id, kept in memory only and within a bound."""

from collections import OrderedDict
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from router.dialects.model_name import with_fields
from router.dialects.openai_responses import Answered, Asked

OVERHEAD_BYTES = 500
"""What an item or a response takes besides its text, about."""


class _Named(Struct):
    id: str | None = None


_NAMED = msgspec.json.Decoder(_Named)


class _Kept(Struct, frozen=True):
    """One response: the items that were new in its request, its own, and the response that it went on from.

    `told` is the response as its client was told of it, without its items.
    """

    owner: str
    given: tuple[Raw, ...]
    output: tuple[Raw, ...]
    told: Raw
    previous: str | None
    size: int

    @property
    def items(self) -> tuple[Raw, ...]:
        return (*self.given, *self.output)


class Conversations:
    """The oldest goes first; whatever a response goes on from stays at least as long as that does."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._items: dict[tuple[str, str], tuple[str, Raw]] = {}
        self._bytes = 0

    def of(self, owner: str) -> "Own":
        """Those of one API key: nobody goes on from another's."""
        return Own(self, owner)

    def keep(self, owner: str, given: Sequence[Raw], answer: Answered, *, previous: str | None) -> None:
        """Keeps a response; all is copied, so that nothing else of the request stays in memory."""
        asked, output = (tuple(item.copy() for item in items) for items in (given, answer.items))
        size = OVERHEAD_BYTES + len(answer.told) + sum(len(item) + OVERHEAD_BYTES for item in (*asked, *output))
        if size > self._max_bytes:
            return
        self._drop(answer.id)
        self._kept[answer.id] = _Kept(owner, asked, output, answer.told.copy(), previous, size)
        self._bytes += size
        for item in (*asked, *output):
            if name := _id(item):
                self._items[owner, name] = (answer.id, item)
        self._touch(answer.id)
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def get(self, owner: str, response_id: str) -> _Kept | None:
        """One response; None for one that is not there, or another's."""
        kept = self._kept.get(response_id)
        return kept if kept is not None and kept.owner == owner else None

    def forget(self, owner: str, response_id: str) -> bool:
        """Whether it was there; whatever went on from it cannot be gone on from any more."""
        return self.get(owner, response_id) is not None and self._drop(response_id)

    def chain(self, owner: str, response_id: str) -> list[_Kept] | None:
        """A response after those that it goes on from; None when one of them is not there."""
        found: list[_Kept] = []
        at: str | None = response_id
        while at is not None:
            kept = self.get(owner, at)
            if kept is None:
                return None
            found.append(kept)
            at = kept.previous
        self._touch(response_id)
        return found[::-1]

    def item(self, owner: str, item_id: str) -> Raw | None:
        """One item of an owner's responses; of two with the same id the newer one."""
        found = self._items.get((owner, item_id))
        return None if found is None else found[1]

    def _drop(self, response_id: str) -> bool:
        gone = self._kept.pop(response_id, None)
        if gone is None:
            return False
        self._bytes -= gone.size
        for name in filter(None, map(_id, gone.items)):
            if self._items.get((gone.owner, name), ("",))[0] == response_id:
                del self._items[gone.owner, name]
        return True

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
        return self._conversations.item(self._owner, item_id)

    def keep(self, asked: Asked, answer: Answered) -> None:
        """Keeps the answer to a request, if the client lets it be kept."""
        if asked.keep:
            self._conversations.keep(self._owner, asked.items, answer, previous=asked.previous)

    def response(self, response_id: str) -> bytes | None:
        """A response as its client was told of it; None for one that is not there."""
        kept = self._conversations.get(self._owner, response_id)
        return None if kept is None else with_fields(bytes(kept.told), {"output": kept.output})

    def forget(self, response_id: str) -> bool:
        """Whether it was there."""
        return self._conversations.forget(self._owner, response_id)


def _id(item: Raw) -> str | None:
    try:
        return _NAMED.decode(item).id
    except msgspec.ValidationError:
        return None

"""Telling the tool calls of an answer apart."""

from collections.abc import Sequence

from msgspec import Struct

from router.canonical.events import Event, ToolCallDelta, ToolCallStarted
from router.dialects.openai_chat.ids import new_call_id


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class Call(Struct, gc=False):
    """A call, or a piece of one, as servers write it."""

    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class Calls:
    """Numbers the tool calls of an answer, for servers that leave out index or id, or number every call 0."""

    def __init__(self) -> None:
        self._ids: dict[tuple[int, int], str] = {}
        self._numbers: dict[tuple[int, int], int] = {}
        self._latest: dict[int, int] = {}

    def any(self, choice: int) -> bool:
        """Whether the choice has called a tool."""
        return choice in self._latest

    def events(self, choice: int, calls: Sequence[Call]) -> tuple[list[Event], bool]:
        """The events of some calls, and whether they came as they should: numbered, the first piece with an id."""
        events: list[Event] = []
        whole = True
        for call in calls:
            function = call.function or _Function()
            index = self._index(choice, call, function.name)
            if (choice, index) not in self._ids:
                call_id = call.id or new_call_id()
                self._ids[choice, index] = call_id
                events.append(ToolCallStarted(index, call_id, function.name or "", choice))
                whole = whole and bool(call.id)
            whole = whole and call.index == index
            if function.arguments:
                events.append(ToolCallDelta(index, function.arguments, choice))
        return events, whole

    def _index(self, choice: int, call: Call, name: str | None) -> int:
        latest = self._latest.get(choice, -1)
        known = latest if call.index is None else self._numbers.get((choice, call.index), -1)
        if known >= 0 and not _begins(call, name, self._ids[choice, known]):
            return known
        is_free = call.index is not None and (choice, call.index) not in self._ids
        index = call.index if call.index is not None and is_free else latest + 1
        self._latest[choice] = max(latest, index)
        if call.index is not None:
            self._numbers[choice, call.index] = index
        return index


def _begins(call: Call, name: str | None, known_id: str) -> bool:
    """Whether a piece that could belong to a known call begins another one."""
    if call.id:
        return call.id != known_id and (bool(name) or call.index is None)
    return bool(name) and call.index is None

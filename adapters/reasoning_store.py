"""Signed reasoning, kept for clients that do not send it back: by the tool call that it led to."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from router.canonical.request import Message, ToolCall

MAX_CALLS = 20_000
MAX_BYTES = 64 * 1024 * 1024


class ReasoningStore:
    """Bounded in number and size; the oldest goes first, which is the order in which Claude can do without it."""

    def __init__(self, *, max_calls: int = MAX_CALLS, max_bytes: int = MAX_BYTES) -> None:
        self._max_calls = max_calls
        self._max_bytes = max_bytes
        self._blocks: OrderedDict[str, tuple[Raw, ...]] = OrderedDict()
        self._bytes = 0

    def remember(self, before: Mapping[str, tuple[Raw, ...]]) -> None:
        """Keeps, for the id of each tool call, the reasoning right before it."""
        for call_id, blocks in before.items():
            self._drop(call_id)
            self._blocks[call_id] = blocks
            self._bytes += _size(blocks)
        while self._blocks and (len(self._blocks) > self._max_calls or self._bytes > self._max_bytes):
            self._drop(next(iter(self._blocks)))

    def forget(self, messages: Sequence[Message]) -> None:
        """Drops what belongs to these messages: their reasoning was not accepted back."""
        for message in messages:
            for call in message.tool_calls:
                self._drop(call.id)

    def restored(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The messages with reasoning where it was, for those whose tool calls are known."""
        return tuple(self._restored(message) for message in messages)

    def _restored(self, message: Message) -> Message:
        """What a client sent itself is put back in its places if it is the same, and else left as it is."""
        if not any(call.id in self._blocks for call in message.tool_calls):
            return message
        calls = tuple(self._with_reasoning(call) for call in message.tool_calls)
        kept = [block for call in calls for block in call.reasoning_blocks]
        if message.reasoning_blocks and _values(message.reasoning_blocks) != _values(kept):
            return message
        return msgspec.structs.replace(message, tool_calls=calls, reasoning_blocks=())

    def _with_reasoning(self, call: ToolCall) -> ToolCall:
        blocks = self._blocks.get(call.id)
        if blocks is None:
            return call
        self._blocks.move_to_end(call.id)
        return msgspec.structs.replace(call, reasoning_blocks=blocks)

    def _drop(self, call_id: str) -> None:
        self._bytes -= _size(self._blocks.pop(call_id, ()))


def _size(blocks: Sequence[Raw]) -> int:
    return sum(len(bytes(block)) for block in blocks)


def _values(blocks: Sequence[Raw]) -> list[object]:
    """The blocks decoded, since a client may have written the same JSON in another way; raises nothing."""
    try:
        return [msgspec.json.decode(block) for block in blocks]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []

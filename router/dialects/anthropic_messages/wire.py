"""Claude's answers as they are on the wire: what is read of them, and nothing else."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from router.canonical.events import UsageReported
from router.dialects.undecoded import ABSENT

REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "stop",
}
UNEXPLAINED = "The model refused to answer."


class OutputDetails(Struct):
    thinking_tokens: int | None = None


class Usage(Struct):
    """Counts of which any may be null; `input_tokens` leaves out what went to or came from the cache."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class StopDetails(Struct):
    explanation: str | None = None


class Block(Struct):
    """A content block of any type; what comes with other types is not read."""

    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT


class Message(Struct):
    """A whole answer, or with `message_start` the frame of one."""

    type: str = ""
    model: str | None = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: Usage | None = None
    error: Raw = ABSENT


class Delta(Struct):
    """A piece of a block, or what `message_delta` says of the whole."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class Record(Struct):
    """One event of a stream."""

    type: str = ""
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: Usage | None = None
    error: Raw = ABSENT


RECORD = msgspec.json.Decoder(Record)
MESSAGE = msgspec.json.Decoder(Message)


class Counts:
    """The counts of one answer. A later report replaces what it repeats; nothing is ever added up."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def reported(self, usage: Usage) -> UsageReported:
        """All that is known now, in the hub's terms: the prompt is what was read anew, cached, and read from there."""
        told: dict[str, Any] = {name: getattr(usage, name) for name in Usage.__struct_fields__[:4]}
        told["thinking"] = usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else None
        self._known.update((name, count) for name, count in told.items() if count is not None)
        known = self._known
        written, read = known.get("cache_creation_input_tokens", 0), known.get("cache_read_input_tokens", 0)
        return UsageReported(
            known.get("input_tokens", 0) + written + read,
            known.get("output_tokens", 0),
            read,
            known.get("thinking", 0),
            written,
        )


def signed(block: Block) -> Raw | None:
    """A block of reasoning as a later turn has to repeat it; None for one without a signature."""
    if block.type == "redacted_thinking" and block.data:
        return Raw(msgspec.json.encode({"type": block.type, "data": block.data}))
    if block.type == "thinking" and block.signature:
        told = {"type": block.type, "thinking": block.thinking or "", "signature": block.signature}
        return Raw(msgspec.json.encode(told))
    return None

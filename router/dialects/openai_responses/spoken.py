"""Answers in the Responses format as they are on the wire: what is read of them, and nothing else."""

import msgspec
from msgspec import Raw, Struct

from router.canonical.events import UsageReported
from router.dialects.undecoded import ABSENT


class _Input(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _Output(Struct):
    reasoning_tokens: int | None = None


class Usage(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Input | None = None
    output_tokens_details: _Output | None = None

    def reported(self) -> UsageReported:
        """The same in no wire format."""
        read, said = self.input_tokens_details, self.output_tokens_details
        return UsageReported(
            self.input_tokens,
            self.output_tokens,
            read.cached_tokens if read else None,
            said.reasoning_tokens if said else None,
            read.cache_write_tokens if read else None,
        )


class Part(Struct):
    """A part of a message, or of reasoning."""

    text: str | None = None
    refusal: str | None = None
    logprobs: Raw = ABSENT


class Item(Struct):
    """An output item of any type; what comes with other types is not read."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None
    action: Raw = ABSENT


class Incomplete(Struct):
    reason: str | None = None


class Response(Struct):
    """The response itself; `created_at` is seconds since 1970."""

    id: str | None = None
    model: str | None = None
    created_at: float | None = None
    output: list[Item] | None = None
    usage: Usage | None = None
    incomplete_details: Incomplete | None = None
    error: Raw = ABSENT


class Event(Struct):
    """One event of a stream; `code` and `message` are those of an `error`."""

    type: str = ""
    sequence_number: int = 0
    output_index: int = 0
    delta: str | None = None
    item: Item | None = None
    response: Response | None = None
    error: Raw = ABSENT
    code: str | None = None
    message: str | None = None


EVENT = msgspec.json.Decoder(Event)
RESPONSE = msgspec.json.Decoder(Response)
FIELDS = msgspec.json.Decoder(dict[str, Raw])
ITEMS = msgspec.json.Decoder(list[Raw])

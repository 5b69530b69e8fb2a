"""Requests of the Responses API as they are on the wire: what is read of them, and nothing else."""

import msgspec
from msgspec import Raw, Struct

from router.dialects.undecoded import ABSENT


class ImageURL(Struct):
    url: str


class Part(Struct):
    """A part of a message, of a tool's output, or of reasoning."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    image_url: ImageURL | str | None = None
    file_data: str | None = None
    filename: str | None = None


class Kind(Struct):
    """Which item it is; a message may leave its type out, and so may a reference, which has an id alone."""

    type: str | None = None
    id: str | None = None
    role: str | None = None


class Item(Struct):
    """An input item of any type that is known."""

    id: str | None = None
    role: str | None = None
    content: str | list[Part] | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    output: str | list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None
    action: Raw = ABSENT


class Function(Struct):
    """A function as chat completions have it, which some clients send here too."""

    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None


class Grammar(Struct):
    type: str = "text"
    syntax: str | None = None
    definition: str | None = None


class OfferedTool(Struct):
    """A tool of any type; `tools` are those of a namespace."""

    type: str = "function"
    name: str | None = None
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None
    function: Function | None = None
    format: Grammar | None = None
    tools: "list[OfferedTool] | None" = None


class NamedTool(Struct):
    """A tool as `tool_choice` names it; `mode` and `tools` belong to `allowed_tools`."""

    type: str = "function"
    name: str | None = None
    namespace: str | None = None
    function: Function | None = None
    mode: str = "auto"
    tools: "list[NamedTool]" = []


class TextFormat(Struct):
    type: str = "text"
    schema: Raw = ABSENT
    strict: bool | None = None


class Text(Struct):
    format: TextFormat | None = None
    verbosity: str | None = None


class Reasoning(Struct):
    effort: str | None = None


class StreamOptions(Struct):
    include_usage: bool | None = None


class Request(Struct):
    model: str | None = None
    input: str | list[Raw] | None = None
    instructions: str | list[Raw] | None = None
    previous_response_id: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = None
    background: bool | None = None
    include: list[str] | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    tools: list[OfferedTool] | None = None
    tool_choice: NamedTool | str | None = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    metadata: Raw = ABSENT
    user: Raw = ABSENT
    safety_identifier: Raw = ABSENT
    service_tier: Raw = ABSENT


REQUEST = msgspec.json.Decoder(Request)
KIND = msgspec.json.Decoder(Kind)
ITEM = msgspec.json.Decoder(Item)
ANY = msgspec.json.Decoder()

"""What a client asks, in no wire format."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct


class Wire(Struct, frozen=True):
    """The request as it came: every top-level field of the body, undecoded, and the dialect it is written in.

    `headers` are those that belong to the dialect, by lower-case name: only a backend of the same one is sent them.
    """

    dialect: str
    fields: Mapping[str, msgspec.Raw]
    headers: Mapping[str, str] = {}


class TextPart(Struct, frozen=True, gc=False):
    """`cache` marks the end of what should be cached: a JSON object in Anthropic's shape."""

    text: str
    cache: msgspec.Raw | None = None


class ImagePart(Struct, frozen=True, gc=False):
    """An image: `data` is standard base64 with its `media_type`, or `url` names a place elsewhere."""

    data: str = ""
    media_type: str = ""
    url: str = ""
    cache: msgspec.Raw | None = None


class OpaquePart(Struct, frozen=True, gc=False):
    """A part that the hub does not model (audio, file, ...); only a target of the same dialect can take it."""

    kind: str


class FilePart(OpaquePart, frozen=True, gc=False):
    """A file that came along: `data` is standard base64 with its `media_type`."""

    data: str = ""
    media_type: str = ""
    name: str = ""


Part = TextPart | ImagePart | OpaquePart


class ToolCall(Struct, frozen=True, gc=False):
    """A call the model made; `arguments` is JSON text as the model wrote it.

    `reasoning_blocks` is the signed reasoning that led from what came before to this call.
    """

    id: str
    name: str
    arguments: str
    reasoning_blocks: tuple[msgspec.Raw, ...] = ()


class Message(Struct, frozen=True):
    """One turn. `role` is system, developer, user, assistant, tool, or function.

    `reasoning_blocks` is signed reasoning as its model gave it, to be sent back to that model byte for byte.
    """

    role: str
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning: str | None = None
    reasoning_blocks: tuple[msgspec.Raw, ...] = ()

    @property
    def has_image(self) -> bool:
        return any(isinstance(part, ImagePart) for part in self.parts)


class Tool(Struct, frozen=True):
    """A function the model may call; `parameters` is its JSON Schema, as text.

    Any other `kind` is not modelled: only a target of the same dialect can take it.
    """

    name: str
    description: str | None = None
    parameters: msgspec.Raw | None = None
    kind: str = "function"
    strict: bool | None = None
    cache: msgspec.Raw | None = None


class ToolChoice(Struct, frozen=True, gc=False):
    """`mode` is auto, none, or required; with `names`, only these tools may be called."""

    mode: str
    names: tuple[str, ...] = ()


class ResponseFormat(Struct, frozen=True):
    """`kind` is text, json_object, or json_schema (then `schema` holds the bare schema)."""

    kind: str
    schema: msgspec.Raw | None = None
    strict: bool | None = None


class Sampling(Struct, frozen=True):
    """How to pick tokens; None means that the client said nothing."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: tuple[str, ...] = ()


class Profile(Struct, frozen=True):
    """What an alias adds to every request: defaults under the client's own values, and limits over them.

    `thinking_tokens` are on top of `max_tokens`. With `truncate`, the backend may cut a prompt that is too long.
    `client_options` are the runner options that clients may set. `split_thinking` is whether `<think>` tags in an
    answer are taken out; None leaves it to the model's name. `resume` lets another target go on with a stream that
    broke off; after `hedge_after_s` without a first token another one may compete for it.
    """

    options: Mapping[str, Any] = msgspec.field(default_factory=dict[str, Any])
    context_length: int | None = None
    max_tokens: int | None = None
    thinking_tokens: int | None = None
    truncate: bool = False
    client_options: frozenset[str] = frozenset()
    split_thinking: bool | None = None
    resume: bool = False
    hedge_after_s: float | None = None

    def with_pinned(self, options: Mapping[str, Any]) -> "Profile":
        """The same with further options of how the model is loaded."""
        nested: Mapping[str, Any] = self.options.get("options") or {}
        return msgspec.structs.replace(self, options={**self.options, "options": {**options, **nested}})


class ChatRequest(Struct, frozen=True, kw_only=True):
    """A chat completion. `unsupported` names top-level fields that only a backend of the same dialect understands.

    `limit_is_formal` is whether the client had to say an output limit: then no room for so much is asked for.
    """

    model: str
    messages: tuple[Message, ...]
    wire: Wire
    stream: bool = False
    include_usage: bool = False
    sampling: Sampling = Sampling()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    n: int = 1
    logprobs: bool = False
    top_logprobs: int | None = None
    limit_is_formal: bool = False
    unsupported: tuple[str, ...] = ()
    extras: Mapping[str, Any] = msgspec.field(default_factory=dict[str, Any])
    task: str | None = None
    user: str | None = None
    """The client's name for the person behind the request."""
    service_tier: str | None = None

    @property
    def size(self) -> int:
        """Bytes of the request, about: never fewer than its texts have."""
        return sum(map(len, self.wire.fields.values()))

    @property
    def has_images(self) -> bool:
        return any(message.has_image for message in self.messages)


class EmbedRequest(Struct, frozen=True, kw_only=True):
    """Embeddings of texts, in order. `base64` asks for little-endian float32 in base64 instead of numbers.

    `tokens` holds the inputs of a client that sent token ids; `inputs` is empty until they are decoded.
    `rewritten` is set when `inputs` is no longer what `wire` says.
    """

    model: str
    inputs: tuple[str, ...]
    wire: Wire
    tokens: tuple[tuple[int, ...], ...] = ()
    base64: bool = False
    dimensions: int | None = None
    task: str | None = None
    rewritten: bool = False

    def with_inputs(self, inputs: tuple[str, ...]) -> "EmbedRequest":
        """The same request for other texts."""
        return msgspec.structs.replace(self, inputs=inputs, tokens=(), rewritten=True)

    def split(self, limit: int | None) -> "list[EmbedRequest]":
        """The same request in parts of at most `limit` inputs, in order."""
        if limit is None or len(self.inputs) <= limit:
            return [self]
        return [self.with_inputs(self.inputs[at : at + limit]) for at in range(0, len(self.inputs), limit)]

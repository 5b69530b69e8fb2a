"""Chat requests of OpenAI's clients: bytes to the hub."""

from collections.abc import Mapping
from typing import cast

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from router.canonical.request import (
    ChatRequest,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    Part,
    ResponseFormat,
    Sampling,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    Wire,
)
from router.dialects import data_url
from router.dialects.openai_body import decode_fields, decode_typed
from router.dialects.openai_chat.ids import NAME
from router.dialects.undecoded import ABSENT, given
from router.errors import InvalidParameter

MAX_MESSAGES = 20_000
MAX_TOOLS = 1_024
MAX_CHOICES = 128

_HUB_FIELDS = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
        "seed", "presence_penalty", "frequency_penalty", "stop", "tools", "tool_choice", "parallel_tool_calls",
        "response_format", "reasoning_effort", "reasoning", "n", "logprobs", "top_logprobs",
    }
)  # fmt: skip
_EXTRA_FIELDS = frozenset({"options", "keep_alive", "think", "num_ctx", "top_k", "min_p", "repeat_penalty"})
_KNOWN_FIELDS = _HUB_FIELDS | _EXTRA_FIELDS


class _Function(Struct):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None
    arguments: str | None = None


class _Call(Struct):
    id: str | None = None
    type: str | None = None
    function: _Function | None = None


class _ImageURL(Struct):
    url: str


class _File(Struct):
    file_data: str | None = None
    filename: str | None = None


class _Part(Struct):
    type: str
    text: str | None = None
    image_url: _ImageURL | str | None = None
    file: _File | None = None
    refusal: str | None = None
    cache_control: Raw = ABSENT
    prompt_cache_breakpoint: Raw = ABSENT


class _Message(Struct):
    role: str
    content: str | list[_Part] | None = None
    name: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[Raw] | None = None


class _Tool(Struct):
    """A tool as documented or, as some clients send a function, with its fields one level up."""

    type: str = "function"
    function: _Function | None = None
    name: str | None = None
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None
    cache_control: Raw = ABSENT


class _ToolName(Struct):
    name: str


class _NamedTool(Struct):
    type: str = "function"
    function: _ToolName | None = None
    custom: _ToolName | None = None
    name: str | None = None


class _AllowedTools(Struct):
    mode: str
    tools: list[_NamedTool] = []


class _ToolChoice(_NamedTool):
    allowed_tools: _AllowedTools | None = None


class _JSONSchema(Struct):
    schema: Raw = ABSENT


class _ResponseFormat(Struct):
    type: str
    json_schema: _JSONSchema | None = None
    schema: Raw = ABSENT


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Request(Struct):
    model: str | None = None
    messages: list[_Message] | UnsetType = UNSET
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: str | list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: Raw = ABSENT
    parallel_tool_calls: bool | None = None
    response_format: _ResponseFormat | None = None
    reasoning_effort: str | None = None
    reasoning: Raw = ABSENT
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    metadata: Raw = ABSENT
    user: Raw = ABSENT
    safety_identifier: Raw = ABSENT
    service_tier: Raw = ABSENT


_BREAKPOINT = Raw(b'{"type":"ephemeral"}')
_DECODER = msgspec.json.Decoder(_Request)
_ANY = msgspec.json.Decoder()
_CHOICE = msgspec.json.Decoder(str | _ToolChoice)


def parse_request(body: bytes) -> ChatRequest:
    """A client's body as a request; raises InvalidJSON, or InvalidParameter naming the field."""
    fields = decode_fields(body)
    wire = decode_typed(_DECODER, body)
    if not wire.model:
        raise InvalidParameter("you must provide a model parameter", param="model")
    _check_limits(wire)
    return ChatRequest(
        model=wire.model,
        messages=tuple(_message(message, place) for place, message in enumerate(cast("list[_Message]", wire.messages))),
        wire=Wire(NAME, fields),
        stream=bool(wire.stream),
        include_usage=bool(wire.stream_options and wire.stream_options.include_usage),
        sampling=_sampling(wire),
        tools=tuple(_tool(tool, f"tools[{at}]") for at, tool in enumerate(wire.tools or ())),
        tool_choice=_tool_choice(wire.tool_choice),
        parallel_tool_calls=wire.parallel_tool_calls,
        response_format=_response_format(wire.response_format),
        reasoning_effort=wire.reasoning_effort or _nested_text(wire.reasoning, "effort"),
        n=wire.n or 1,
        logprobs=bool(wire.logprobs),
        top_logprobs=wire.top_logprobs,
        unsupported=_unsupported(fields),
        extras={key: decode_typed(_ANY, fields[key]) for key in _EXTRA_FIELDS & fields.keys() if given(fields[key])},
        task=_nested_text(wire.metadata, "task"),
        user=_text(wire.safety_identifier) or _text(wire.user) or _nested_text(wire.metadata, "user_id"),
        service_tier=_text(wire.service_tier),
    )


def _check_limits(wire: _Request) -> None:
    if isinstance(wire.messages, UnsetType):
        raise InvalidParameter("you must provide a messages parameter", param="messages")
    if not wire.messages:
        raise InvalidParameter("messages is empty: send at least one message", param="messages")
    if len(wire.messages) > MAX_MESSAGES:
        raise InvalidParameter(f"messages has more than {MAX_MESSAGES} entries", param="messages")
    if wire.tools and len(wire.tools) > MAX_TOOLS:
        raise InvalidParameter(f"tools has more than {MAX_TOOLS} entries", param="tools")
    if wire.n is not None and not 1 <= wire.n <= MAX_CHOICES:
        raise InvalidParameter(f"n must be between 1 and {MAX_CHOICES}", param="n")
    if wire.top_logprobs is not None and not 0 <= wire.top_logprobs <= 20:
        raise InvalidParameter("top_logprobs must be between 0 and 20", param="top_logprobs")


def _message(message: _Message, place: int) -> Message:
    content = message.content
    if content is None:
        parts: tuple[Part, ...] = ()
    elif isinstance(content, str):
        parts = (TextPart(content),)
    else:
        parts = tuple(_part(part, f"messages[{place}].content[{at}]") for at, part in enumerate(content))
    calls = tuple(
        _call(call, f"messages[{place}].tool_calls[{at}]") for at, call in enumerate(message.tool_calls or ())
    )
    if message.function_call:
        call = message.function_call
        calls = (*calls, ToolCall(f"call_{call.name}", call.name, call.arguments or "{}"))
    return Message(
        role=message.role,
        parts=parts,
        tool_calls=calls,
        tool_call_id=message.tool_call_id,
        name=message.name,
        reasoning=message.reasoning_content or message.reasoning,
        reasoning_blocks=tuple(message.thinking_blocks or ()),
    )


def _part(part: _Part, place: str) -> Part:
    match part.type:
        case "text":
            return TextPart(part.text or "", _cache(part))
        case "refusal":
            return TextPart(part.refusal or "")
        case "image_url":
            if part.image_url is None:
                raise InvalidParameter("an image_url part needs an image_url", param=f"{place}.image_url")
            url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
            return _image(url, _cache(part))
        case "file":
            return _file(part.file or _File())
        case _:
            return OpaquePart(part.type)


def _image(url: str, cache: Raw | None) -> ImagePart:
    """A data URL without base64 stays a URL: nobody but a backend of the same dialect may know what to do with it."""
    found = data_url.base64_of(url)
    return ImagePart(url=url, cache=cache) if found is None else ImagePart(found[1], found[0], cache=cache)


def _file(file: _File) -> OpaquePart:
    """A file that is not here, but kept by OpenAI under an id, is known to nobody else."""
    found = data_url.base64_of(file.file_data or "")
    return OpaquePart("file") if found is None else FilePart("file", found[1], found[0], file.filename or "")


def _cache(part: _Part) -> Raw | None:
    """A cache marker as Anthropic's clients write it, or OpenAI's own in that form."""
    return given(part.cache_control) or (_BREAKPOINT if given(part.prompt_cache_breakpoint) else None)


def _call(call: _Call, place: str) -> ToolCall:
    if call.function is None:
        raise InvalidParameter("a tool call needs a function", param=f"{place}.function")
    return ToolCall(call.id or "", call.function.name, call.function.arguments or "{}")


def _sampling(wire: _Request) -> Sampling:
    stop = (wire.stop,) if isinstance(wire.stop, str) else tuple(wire.stop or ())
    return Sampling(
        max_tokens=wire.max_tokens if wire.max_completion_tokens is None else wire.max_completion_tokens,
        temperature=wire.temperature,
        top_p=wire.top_p,
        seed=wire.seed,
        presence_penalty=wire.presence_penalty,
        frequency_penalty=wire.frequency_penalty,
        stop=stop,
    )


def _tool(tool: _Tool, place: str) -> Tool:
    if tool.type != "function":
        return Tool("", kind=tool.type)
    cache = given(tool.cache_control)
    if (found := tool.function) is not None:
        return Tool(found.name, found.description, given(found.parameters), strict=found.strict, cache=cache)
    if tool.name is None:
        raise InvalidParameter("a tool of type function needs a function", param=f"{place}.function")
    return Tool(tool.name, tool.description, given(tool.parameters), strict=tool.strict, cache=cache)


def _tool_choice(raw: Raw) -> ToolChoice | None:
    if given(raw) is None:
        return None
    try:
        choice = _CHOICE.decode(raw)
    except msgspec.ValidationError:
        raise _bad_choice() from None
    if isinstance(choice, str):
        return ToolChoice(_mode(choice, {"auto", "none", "required"}))
    if choice.type == "allowed_tools" and choice.allowed_tools:
        allowed = choice.allowed_tools
        return ToolChoice(_mode(allowed.mode, {"auto", "required"}), tuple(_named(tool) for tool in allowed.tools))
    return ToolChoice("required", (_named(choice),))


def _mode(mode: str, known: set[str]) -> str:
    if mode not in known:
        raise _bad_choice()
    return mode


def _named(tool: _NamedTool) -> str:
    named = tool.function or tool.custom
    name = named.name if named else tool.name
    if name is None:
        raise _bad_choice()
    return name


def _bad_choice() -> InvalidParameter:
    return InvalidParameter("tool_choice must be none, auto, required, or name a tool", param="tool_choice")


def _response_format(wanted: _ResponseFormat | None) -> ResponseFormat | None:
    if wanted is None:
        return None
    if wanted.type not in {"text", "json_object", "json_schema"}:
        raise InvalidParameter(
            "response_format.type must be text, json_object or json_schema", param="response_format.type"
        )
    if wanted.type == "json_schema" and wanted.json_schema is None:
        raise InvalidParameter("response_format needs a json_schema", param="response_format.json_schema")
    return ResponseFormat(wanted.type, given(wanted.json_schema.schema if wanted.json_schema else wanted.schema))


def _nested_text(raw: Raw, key: str) -> str | None:
    value: object = decode_typed(_ANY, raw) if given(raw) else None
    found = cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) and found else None


def _text(raw: Raw) -> str | None:
    value: object = decode_typed(_ANY, raw) if given(raw) else None
    return value if isinstance(value, str) and value else None


def _unsupported(fields: Mapping[str, Raw]) -> tuple[str, ...]:
    return tuple(key for key, raw in fields.items() if key not in _KNOWN_FIELDS and given(raw))

"""Chat requests of other dialects, told in this one."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from router.canonical.request import (
    ChatRequest,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    Part,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    Wire,
)
from router.dialects.alias_options import OLLAMA_OPTIONS, client_options
from router.dialects.failures import UNREADABLE
from router.dialects.openai_chat.ids import NAME
from router.errors import InvalidParameter, UnsupportedParameter

_INSTRUCTING = frozenset({"system", "developer"})
_PARAGRAPH = "\n\n"
_EMPTY_SCHEMA: Mapping[str, Any] = {"type": "object", "properties": {}}
_UNTHINKING = {"enable_thinking": False}


def spoken(request: ChatRequest, *, templated: bool = False, native: Container[str] = ()) -> ChatRequest:
    """The request with a body of this dialect; one that has it already is left alone.

    With `templated`, a wish not to think is told to the chat template, as llama.cpp wants it. `native` are the
    options of Ollama that the backend knows as well. Raises UnsupportedParameter for what has no words here.
    """
    if request.wire.dialect == NAME:
        return request
    try:
        fields = {
            key: Raw(msgspec.json.encode(value)) for key, value in _fields(request, templated=templated, native=native)
        }
    except (*UNREADABLE, OverflowError):
        raise InvalidParameter("the request holds JSON that the backend could not read") from None
    return replace(request, wire=Wire(NAME, fields))


def _fields(request: ChatRequest, *, templated: bool, native: Container[str]) -> Iterator[tuple[str, Any]]:
    yield "model", request.model
    yield "messages", _messages(request.messages)
    if request.stream:
        yield "stream", True
        if request.include_usage:
            yield "stream_options", {"include_usage": True}
    yield from _sampling(request)
    yield from _tools(request)
    if request.response_format is not None:
        yield "response_format", _response_format(request.response_format)
    if request.reasoning_effort is not None:
        yield "reasoning_effort", request.reasoning_effort
        if templated and request.reasoning_effort == "none":
            yield "chat_template_kwargs", _UNTHINKING
    if request.user:
        yield "user", request.user
    yield from _native(request, native)


def unspoken(request: ChatRequest, native: Container[str] = ()) -> tuple[str, ...]:
    """What a request of another dialect says that a backend of this one is not told."""
    if request.wire.dialect == NAME:
        return ()
    return (*request.unsupported, *(key for key in client_options(_foreign(request)) if key not in native))


def _native(request: ChatRequest, native: Container[str]) -> Iterator[tuple[str, Any]]:
    """The extras that are no words of Ollama's alone, and of its options those that the backend knows."""
    foreign = _foreign(request)
    yield from ((key, value) for key, value in request.extras.items() if key not in foreign)
    yield from ((key, value) for key, value in client_options(foreign).items() if key in native)


def _foreign(request: ChatRequest) -> dict[str, Any]:
    return {key: value for key, value in request.extras.items() if key in OLLAMA_OPTIONS}


def _sampling(request: ChatRequest) -> Iterator[tuple[str, Any]]:
    sampling = request.sampling
    for name in ("max_tokens", "temperature", "top_p", "seed", "presence_penalty", "frequency_penalty"):
        if (value := getattr(sampling, name)) is not None:
            yield name, value
    if sampling.stop:
        yield "stop", sampling.stop
    if request.n > 1:
        yield "n", request.n
    if request.logprobs:
        yield "logprobs", True
        if request.top_logprobs is not None:
            yield "top_logprobs", request.top_logprobs


def _tools(request: ChatRequest) -> Iterator[tuple[str, Any]]:
    if not request.tools:
        return
    yield "tools", [_tool(tool, f"tools[{at}]") for at, tool in enumerate(request.tools)]
    if request.tool_choice is not None:
        yield "tool_choice", _tool_choice(request.tool_choice)
    if request.parallel_tool_calls is not None:
        yield "parallel_tool_calls", request.parallel_tool_calls


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """All instructions come first, as one message: many chat templates take no other."""
    told = [part for message in messages if message.role in _INSTRUCTING for part in message.parts]
    head: list[dict[str, Any]] = [{"role": "system", "content": _text(told)}] if told else []
    rest = enumerate(messages)
    return head + [_message(one, f"messages[{at}]") for at, one in rest if one.role not in _INSTRUCTING]


def _message(message: Message, place: str) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": _content(message, place)}
    if message.name:
        body["name"] = message.name
    if message.reasoning:
        body["reasoning_content"] = message.reasoning
    if message.tool_calls:
        body["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def _content(message: Message, place: str) -> str | list[dict[str, Any]] | None:
    """Text alone is one string, which every server takes."""
    if not message.parts:
        return None if message.tool_calls else ""
    if all(isinstance(part, TextPart) for part in message.parts):
        return _text(message.parts)
    return [_part(part, f"{place}.content[{at}]") for at, part in enumerate(message.parts)]


def _text(parts: Sequence[Part]) -> str:
    return _PARAGRAPH.join(part.text for part in parts if isinstance(part, TextPart))


def _part(part: Part, place: str) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            url = part.url or f"data:{part.media_type};base64,{part.data}"
            return {"type": "image_url", "image_url": {"url": url}}
        case FilePart():
            data = f"data:{part.media_type};base64,{part.data}"
            return {"type": "file", "file": {"filename": part.name or "file", "file_data": data}}
        case OpaquePart():
            raise UnsupportedParameter(f"the backend takes no part of type '{part.kind}'", param=f"{place}.type")


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _tool(tool: Tool, place: str) -> dict[str, Any]:
    if tool.kind != "function":
        raise UnsupportedParameter(f"the backend knows no tools of type '{tool.kind}'", param=f"{place}.type")
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or _EMPTY_SCHEMA
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> Any:
    if not choice.names:
        return choice.mode
    named = [{"type": "function", "function": {"name": name}} for name in choice.names]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}


def _response_format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    shape: dict[str, Any] = {"name": "response", "schema": wanted.schema or _EMPTY_SCHEMA}
    if wanted.strict is not None:
        shape["strict"] = wanted.strict
    return {"type": wanted.kind, "json_schema": shape}

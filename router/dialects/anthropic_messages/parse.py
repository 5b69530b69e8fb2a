"""Requests of Anthropic's clients: bytes to the hub."""

from collections.abc import Iterator, Mapping
from typing import cast

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from router.canonical.request import ChatRequest, Message, ResponseFormat, Sampling, Tool, ToolChoice, Wire
from router.dialects.anthropic_messages.names import NAME
from router.dialects.anthropic_messages.turns import Content, Turn, instructions, messages
from router.dialects.openai_body import decode_fields, decode_typed
from router.dialects.undecoded import ABSENT, given
from router.errors import InvalidParameter

MAX_MESSAGES = 100_000
MAX_TOOLS = 1_024

_KNOWN_FIELDS = frozenset(
    {
        "model", "messages", "system", "max_tokens", "stream", "stop_sequences", "temperature", "top_p", "top_k",
        "tools", "tool_choice", "thinking", "output_config", "output_format", "metadata", "cache_control",
    }
)  # fmt: skip
_MODES = {"auto": "auto", "any": "required", "tool": "required", "none": "none"}
_BUDGETS = ((2_048, "low"), (8_192, "medium"))
"""Up to how many tokens of thinking an effort stands for; any more is high."""


class _Tool(Struct):
    type: str | None = None
    name: str = ""
    description: str | None = None
    input_schema: Raw = ABSENT
    strict: bool | None = None

    @property
    def is_function(self) -> bool:
        return self.type in {None, "custom"}


class _ToolChoice(Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(Struct):
    type: str = ""
    budget_tokens: int | None = None


class _Format(Struct):
    type: str = ""
    schema: Raw = ABSENT


class _OutputConfig(Struct):
    effort: str | None = None
    format: _Format | None = None


class _Metadata(Struct):
    user_id: str | None = None


class _Request(Struct):
    model: str | None = None
    messages: list[Turn] | UnsetType = UNSET
    system: Content = None
    max_tokens: int | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    metadata: _Metadata | None = None


_DECODER = msgspec.json.Decoder(_Request)


def parse_request(body: bytes, headers: Mapping[str, str] | None = None) -> ChatRequest:
    """A client's body as a request; raises InvalidJSON, or InvalidParameter naming the field.

    `headers` are the dialect's own, by lower-case name. Fields that nobody knows are accepted.
    """
    fields = decode_fields(body)
    asked = decode_typed(_DECODER, body)
    _check(asked)
    conversation = tuple(_conversation(asked))
    if not conversation:
        raise InvalidParameter("messages: nothing is said in any of them", param="messages")
    offered = [tool for tool in asked.tools or () if tool.is_function]
    choice = asked.tool_choice
    return ChatRequest(
        model=asked.model or "",
        messages=conversation,
        wire=Wire(NAME, fields, headers or {}),
        stream=bool(asked.stream),
        include_usage=True,
        sampling=Sampling(
            max_tokens=asked.max_tokens,
            temperature=asked.temperature,
            top_p=asked.top_p,
            stop=tuple(asked.stop_sequences or ()),
        ),
        tools=tuple(
            Tool(tool.name, tool.description, given(tool.input_schema), strict=tool.strict) for tool in offered
        ),
        tool_choice=_tool_choice(choice) if choice is not None and offered else None,
        parallel_tool_calls=False if choice is not None and choice.disable_parallel_tool_use else None,
        response_format=_response_format(asked),
        reasoning_effort=_effort(asked),
        extras={} if asked.top_k is None else {"top_k": asked.top_k},
        limit_is_formal=True,
        unsupported=(*_unsupported(fields), *_served_tools(asked)),
        user=asked.metadata.user_id if asked.metadata else None,
    )


def _check(asked: _Request) -> None:
    if not asked.model:
        raise InvalidParameter("model: Field required", param="model")
    if isinstance(asked.messages, UnsetType):
        raise InvalidParameter("messages: Field required", param="messages")
    if not asked.messages:
        raise InvalidParameter("messages: at least one message is required", param="messages")
    if len(asked.messages) > MAX_MESSAGES:
        raise InvalidParameter(f"messages: more than {MAX_MESSAGES} entries", param="messages")
    if asked.tools and len(asked.tools) > MAX_TOOLS:
        raise InvalidParameter(f"tools: more than {MAX_TOOLS} entries", param="tools")
    for at, tool in enumerate(asked.tools or ()):
        if tool.is_function and not tool.name:
            raise InvalidParameter(f"tools[{at}].name: Field required", param=f"tools[{at}].name")


def _conversation(asked: _Request) -> Iterator[Message]:
    if (told := instructions(asked.system)) is not None:
        yield told
    for at, turn in enumerate(cast("list[Turn]", asked.messages)):
        yield from messages(turn, f"messages[{at}]")


def _tool_choice(choice: _ToolChoice) -> ToolChoice:
    if choice.type not in _MODES or (choice.type == "tool" and not choice.name):
        raise InvalidParameter("tool_choice is of the type auto, any, tool (with a name) or none", param="tool_choice")
    return ToolChoice(_MODES[choice.type], (choice.name,) if choice.type == "tool" and choice.name else ())


def _response_format(asked: _Request) -> ResponseFormat | None:
    wanted = (asked.output_config.format if asked.output_config else None) or asked.output_format
    if wanted is None or wanted.type != "json_schema":
        return None
    return ResponseFormat("json_schema", given(wanted.schema))


def _effort(asked: _Request) -> str | None:
    """How hard to think: not at all, as hard as it says, or by the room that thinking is given."""
    thinking = asked.thinking or _Thinking()
    if thinking.type == "disabled":
        return "none"
    if asked.output_config is not None and asked.output_config.effort:
        return asked.output_config.effort
    if thinking.type != "enabled":
        return None
    budget = thinking.budget_tokens or 0
    return next((effort for most, effort in _BUDGETS if budget <= most), "high")


def _unsupported(fields: Mapping[str, Raw]) -> Iterator[str]:
    return (key for key, raw in fields.items() if key not in _KNOWN_FIELDS and given(raw))


def _served_tools(asked: _Request) -> Iterator[str]:
    """Tools that Anthropic runs itself: only Claude has them."""
    return (f"tools.{tool.type}" for tool in asked.tools or () if not tool.is_function)

"""Requests of the Responses API: bytes to the hub."""

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import msgspec
from msgspec import Raw, Struct

from router.canonical.request import ChatRequest, Message, ResponseFormat, Sampling, TextPart, Wire
from router.dialects.failures import UNREADABLE
from router.dialects.openai_body import decode_fields, decode_typed
from router.dialects.openai_responses import wire
from router.dialects.openai_responses.ids import NAME
from router.dialects.openai_responses.items import Conversation
from router.dialects.openai_responses.tools import Toolbox, tool_choice, toolbox
from router.dialects.undecoded import given
from router.errors import InvalidParameter, PreviousResponseNotFound, UnsupportedParameter

MAX_ITEMS = 40_000
LOGPROBS = "message.output_text.logprobs"

_EXTRA_FIELDS = frozenset({"options", "keep_alive", "think", "num_ctx", "top_k", "min_p", "repeat_penalty"})
_TOLD = frozenset(
    {
        "model", "input", "instructions", "previous_response_id", "stream", "stream_options", "store", "background",
        "include", "max_output_tokens", "temperature", "top_p", "top_logprobs", "tools", "tool_choice",
        "parallel_tool_calls", "text", "reasoning", "metadata", "user", "safety_identifier", "service_tier",
        "truncation", "client_metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    }
)  # fmt: skip
"""Fields that are modelled, or that ask for nothing which an answer from here would lack."""
_ELSEWHERE = {"conversation": "conversations are", "prompt": "prompt templates are"}
_SHOWN = ("instructions", "max_output_tokens", "metadata", "parallel_tool_calls", "previous_response_id", "reasoning",
          "safety_identifier", "service_tier", "store", "temperature", "text", "tool_choice", "tools", "top_logprobs",
          "top_p", "truncation", "user")  # fmt: skip


class Memory(Protocol):
    """What was answered before, as far as it is kept."""

    def conversation(self, response_id: str) -> Sequence[Raw] | None:
        """The items that led to a response and those that it consists of; None for one that is not there."""
        ...

    def item(self, item_id: str) -> Raw | None:
        """One item of an earlier response."""
        ...


class Asked(Struct, frozen=True):
    """A request, and what only this format knows of it.

    `shown` are the request's fields that an answer repeats. `items` are the new input items, `previous` is what they go
    on from; with `keep`, the answer is to be remembered.
    """

    chat: ChatRequest
    tools: Toolbox
    shown: Mapping[str, Raw]
    items: tuple[Raw, ...]
    previous: str | None
    keep: bool


def is_meant(body: bytes) -> bool:
    """Whether a body that came to the chat completions is one of this format, as Cursor sends it."""
    try:
        fields = decode_fields(body)
    except InvalidParameter:
        return False
    return "messages" not in fields and given(fields.get("input", Raw())) is not None


def parse_request(body: bytes, memory: Memory) -> Asked:
    """A client's body as a request; raises InvalidJSON, or a BadRequest naming the field."""
    fields = decode_fields(body)
    asked = decode_typed(wire.REQUEST, body)
    if not asked.model:
        raise InvalidParameter("you must provide a model parameter", param="model")
    _refuse(asked, fields)
    items = _input(asked.input, memory)
    earlier = _earlier(asked.previous_response_id, memory)
    box = toolbox(asked.tools)
    conversation = _conversation((*earlier, *items), start=len(earlier))
    choice, is_dropped = tool_choice(asked.tool_choice, box)
    dropped = [*box.dropped, *conversation.skipped, *(["tool_choice"] if is_dropped else [])]
    chat = ChatRequest(
        model=asked.model,
        messages=(*_instructions(asked.instructions), *conversation.messages()),
        wire=Wire(NAME, {**fields, "input": _joined((*earlier, *items))}),
        stream=bool(asked.stream),
        include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
        sampling=Sampling(max_tokens=asked.max_output_tokens, temperature=asked.temperature, top_p=asked.top_p),
        tools=box.functions,
        tool_choice=choice,
        parallel_tool_calls=asked.parallel_tool_calls if box.functions else None,
        response_format=_response_format(asked.text),
        reasoning_effort=asked.reasoning.effort if asked.reasoning else None,
        logprobs=LOGPROBS in (asked.include or ()) or bool(asked.top_logprobs),
        top_logprobs=asked.top_logprobs or None,
        unsupported=(*dropped, *_unsupported(asked, fields)),
        extras={
            key: decode_typed(wire.ANY, fields[key]) for key in _EXTRA_FIELDS & fields.keys() if given(fields[key])
        },
        task=_nested_text(asked.metadata, "task"),
        user=_text(asked.safety_identifier) or _text(asked.user) or _nested_text(asked.metadata, "user_id"),
        service_tier=_text(asked.service_tier),
    )
    if not chat.messages:
        raise InvalidParameter("you must provide an input parameter", param="input")
    shown = {key: fields[key] for key in _SHOWN if key in fields and given(fields[key])}
    return Asked(chat, box, shown, tuple(items), asked.previous_response_id, keep=asked.store is not False)


def _refuse(asked: wire.Request, fields: Mapping[str, Raw]) -> None:
    if asked.background:
        raise UnsupportedParameter("responses are not made in the background here", param="background")
    for name, those in _ELSEWHERE.items():
        if name in fields and given(fields[name]) is not None:
            raise UnsupportedParameter(f"{those} not kept here: send the input itself", param=name)
    if asked.top_logprobs is not None and not 0 <= asked.top_logprobs <= 20:
        raise InvalidParameter("top_logprobs must be between 0 and 20", param="top_logprobs")


def _input(given_input: str | list[Raw] | None, memory: Memory) -> list[Raw]:
    """The new items; a reference to one is that item itself."""
    if isinstance(given_input, str):
        return [Raw(msgspec.json.encode({"type": "message", "role": "user", "content": given_input}))]
    items = given_input or []
    if len(items) > MAX_ITEMS:
        raise InvalidParameter(f"input has more than {MAX_ITEMS} items", param="input")
    return [_dereferenced(item, f"input[{at}]", memory) for at, item in enumerate(items)]


def _dereferenced(item: Raw, place: str, memory: Memory) -> Raw:
    try:
        kind = wire.KIND.decode(item)
    except UNREADABLE:
        return item
    if kind.type != "item_reference" and (kind.type or kind.role or not kind.id):
        return item
    found = memory.item(kind.id or "")
    if found is None:
        raise InvalidParameter("the item that is referred to is not kept here: send the item itself", param=place)
    return found


def _earlier(response_id: str | None, memory: Memory) -> Sequence[Raw]:
    if response_id is None:
        return ()
    found = memory.conversation(response_id)
    if found is None:
        raise PreviousResponseNotFound(
            f"Previous response with id '{response_id[:100]}' not found.", param="previous_response_id"
        )
    return found


def _conversation(items: Sequence[Raw], *, start: int) -> Conversation:
    """All items as one conversation; places count from the first new one, which is what the client knows."""
    conversation = Conversation()
    for at, item in enumerate(items):
        conversation.add(item, f"input[{at - start}]" if at >= start else "previous_response_id")
    return conversation


def _instructions(given_instructions: str | list[Raw] | None) -> tuple[Message, ...]:
    if not given_instructions:
        return ()
    if isinstance(given_instructions, str):
        return (Message("system", (TextPart(given_instructions),)),)
    conversation = Conversation()
    for at, item in enumerate(given_instructions):
        conversation.add(item, f"instructions[{at}]")
    return conversation.messages()


def _joined(items: Sequence[Raw]) -> Raw:
    return Raw(msgspec.json.encode(list(items)))


def _response_format(text: wire.Text | None) -> ResponseFormat | None:
    wanted = text.format if text else None
    if wanted is None:
        return None
    if wanted.type not in {"text", "json_object", "json_schema"}:
        raise InvalidParameter("text.format.type must be text, json_object or json_schema", param="text.format.type")
    schema = given(wanted.schema)
    if wanted.type == "json_schema" and schema is None:
        raise InvalidParameter("a json_schema format needs a schema", param="text.format.schema")
    return ResponseFormat(wanted.type, schema, strict=wanted.strict)


def _unsupported(asked: wire.Request, fields: Mapping[str, Raw]) -> list[str]:
    known = _TOLD | _EXTRA_FIELDS
    found = [key for key, raw in fields.items() if key not in known and given(raw) is not None]
    return [*found, "text.verbosity"] if asked.text and asked.text.verbosity else found


def _nested_text(raw: Raw, key: str) -> str | None:
    value: object = decode_typed(wire.ANY, raw) if given(raw) else None
    found = cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) and found else None


def _text(raw: Raw) -> str | None:
    value: object = decode_typed(wire.ANY, raw) if given(raw) else None
    return value if isinstance(value, str) and value else None

"""Hub requests as Claude wants them."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from router.canonical.request import ChatRequest, Profile, Tool, Wire
from router.dialects.anthropic_messages import thinking
from router.dialects.anthropic_messages.blocks import Block
from router.dialects.anthropic_messages.conversation import Conversation
from router.dialects.anthropic_messages.names import NAME, NATIVE_OPTIONS
from router.dialects.anthropic_messages.passing import passed_on
from router.dialects.anthropic_messages.schema import enforceable
from router.dialects.anthropic_messages.traits import Traits
from router.dialects.failures import UNREADABLE
from router.errors import BackendFailed, InvalidParameter, UnsupportedParameter, UnsupportedValue

DEFAULT_MAX_TOKENS = 8_192
MAX_UNSTREAMED = 21_333
"""More tokens than this may take over 10 minutes, which Anthropic's SDK refuses to wait for in silence."""

SAMPLING = ("temperature", "top_p", "top_k")
SAMPLING_VERSION = "2023-06-01"
"""Newer models refuse to be told how to sample, and so does every model in newer versions of the format."""

JSON_RULE = "Answer with one JSON object and nothing else: no explanation, no code fence."

_IGNORED = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")
_FALSIFYING = ("audio", "web_search_options")
_TIERS = {"auto": "auto", "priority": "auto", "default": "standard_only", "flex": "standard_only"}
_EMPTY_SCHEMA: Mapping[str, Any] = {"type": "object", "properties": {}}
_UNCOUNTED = frozenset({"max_tokens", "stream", "stop_sequences", "metadata", "service_tier"})


class _Count(Struct):
    input_tokens: int


_COUNT = msgspec.json.Decoder(_Count)
_SCHEMA_TYPE = msgspec.json.Decoder(dict[str, Raw])


class Rendered(Struct, frozen=True):
    """A body for Claude, the request fields that it does not carry, and whether signed reasoning is in it.

    `stream` is also set for an answer that may take longer than a silent connection lives.
    """

    body: bytes
    stream: bool
    dropped: tuple[str, ...] = ()
    is_signed: bool = False


def render_request(
    request: ChatRequest, model: str, profile: Profile, *, traits: Traits, with_reasoning: bool = True
) -> Rendered:
    """The body of `/v1/messages`. Without `with_reasoning`, no signed reasoning of earlier turns is in it.

    A request of this dialect is passed on with the client's own bytes.
    Raises UnsupportedParameter for what Claude cannot do and leaving out would falsify.
    """
    if request.wire.dialect == NAME:
        return _passed_on(request, model, profile, traits=traits, with_reasoning=with_reasoning)
    _refuse(request, traits)
    try:
        return _Rendering(request, model, profile=profile, traits=traits).rendered(with_reasoning=with_reasoning)
    except (*UNREADABLE, OverflowError):
        raise InvalidParameter("the request holds JSON that Claude could not read") from None


def _passed_on(request: ChatRequest, model: str, profile: Profile, *, traits: Traits, with_reasoning: bool) -> Rendered:
    limit = output_limit(request, profile, traits)
    may_sample = traits.takes_sampling and request.wire.headers.get("anthropic-version") == SAMPLING_VERSION
    dropped = () if may_sample else tuple(name for name in SAMPLING if name in request.wire.fields)
    if dropped:
        kept = {key: raw for key, raw in request.wire.fields.items() if key not in dropped}
        request = msgspec.structs.replace(request, wire=Wire(NAME, kept, request.wire.headers))
    body, is_signed = passed_on(request, model, profile, max_tokens=limit, with_reasoning=with_reasoning)
    return Rendered(body, request.stream, dropped, is_signed=is_signed)


def output_limit(request: ChatRequest, profile: Profile, traits: Traits) -> int:
    """What the client asks for, else the alias, else a modest number; never more than the model can say."""
    most = min(traits.max_tokens, profile.max_tokens or traits.max_tokens)
    asked = request.sampling.max_tokens
    if asked is not None and asked >= 0:
        return min(asked, most)
    options = profile.options
    given = options.get("max_completion_tokens") or options.get("max_tokens") or profile.max_tokens
    default: object = given or options.get("default_max_tokens")
    return min(default if isinstance(default, int) else DEFAULT_MAX_TOKENS, most)


def counting(body: bytes) -> bytes:
    """The body of a count: a request's own, without what only says how to answer."""
    fields = _SCHEMA_TYPE.decode(body)
    return msgspec.json.encode({key: raw for key, raw in fields.items() if key not in _UNCOUNTED})


def decode_count(body: bytes) -> int:
    """The answer of `/v1/messages/count_tokens`; raises BackendFailed for anything else."""
    try:
        return _COUNT.decode(body).input_tokens
    except UNREADABLE:
        raise BackendFailed("the count of tokens cannot be read") from None


def _refuse(request: ChatRequest, traits: Traits) -> None:
    if request.n > 1:
        raise UnsupportedValue("Claude gives one answer at a time: n must be 1", param="n")
    if request.logprobs:
        raise UnsupportedParameter("Claude does not tell log probabilities", param="logprobs")
    if "functions" in request.unsupported and not request.tools:
        raise UnsupportedParameter("functions are not sent to Claude: send them as tools", param="functions")
    for name in _FALSIFYING:
        if name in request.unsupported:
            raise UnsupportedParameter(f"Claude has nothing like {name}", param=name)
    for place, tool in enumerate(request.tools):
        if tool.kind != "function":
            raise UnsupportedParameter(f"Claude knows no tools of type '{tool.kind}'", param=f"tools[{place}].type")
    wanted = request.response_format
    if wanted is not None and wanted.kind == "json_schema" and not traits.has_schemas:
        raise UnsupportedParameter("this model cannot be held to a JSON schema", param="response_format")


class _Rendering:
    """One body in the making: what it says so far, and what it could not say."""

    def __init__(self, request: ChatRequest, model: str, *, profile: Profile, traits: Traits) -> None:
        self._request = request
        self._options = profile.options
        self._profile = profile
        self._traits = traits
        self._body: dict[str, Any] = {"model": model}
        self._dropped: list[str] = []

    def rendered(self, *, with_reasoning: bool) -> Rendered:
        request, body = self._request, self._body
        conversation = Conversation(request.messages, self._traits, with_reasoning=with_reasoning)
        self._drop()
        body["max_tokens"] = output_limit(request, self._profile, self._traits)
        body.update((key, value) for key, value in self._options.items() if key in NATIVE_OPTIONS)
        if system := self._system(conversation.system):
            body["system"] = system
        body["messages"] = conversation.rendered()
        self._offer_tools(conversation)
        self._shape()
        self._think(conversation)
        self._make_room()
        self._stop()
        if request.user:
            body["metadata"] = {"user_id": request.user}
        if request.service_tier:
            self._choose_tier(request.service_tier)
        if cache := self._options.get("cache"):
            body["cache_control"] = {"type": "ephemeral", **({"ttl": cache} if isinstance(cache, str) else {})}
        stream = request.stream or body["max_tokens"] > MAX_UNSTREAMED
        if stream:
            body["stream"] = True
        return Rendered(msgspec.json.encode(body), stream, tuple(self._dropped), conversation.is_signed)

    def _drop(self) -> None:
        """Names what has no place in the body."""
        request, dropped = self._request, self._dropped
        said = {"user", "safety_identifier", "service_tier"}
        if request.user and not {"user", "safety_identifier"} & set(request.unsupported):
            said.add("metadata")
        dropped += [name for name in request.unsupported if name not in said]
        dropped += [name for name in _IGNORED if getattr(request.sampling, name) is not None]
        dropped += request.extras
        if request.top_logprobs:
            dropped.append("top_logprobs")

    def _system(self, blocks: list[Block]) -> str | list[Block] | None:
        wanted = self._request.response_format
        if wanted is not None and wanted.kind == "json_object":
            blocks = [*blocks, {"type": "text", "text": JSON_RULE}]
        if any("cache_control" in block for block in blocks):
            return blocks
        return "\n".join(block["text"] for block in blocks)

    def _offer_tools(self, conversation: Conversation) -> None:
        """A history with tool calls needs its tools defined, even where none may be called any more."""
        choice, tools = self._request.tool_choice, self._request.tools
        if not tools:
            if conversation.called:
                self._body["tools"] = [{"name": name, "input_schema": _EMPTY_SCHEMA} for name in conversation.called]
                self._body["tool_choice"] = {"type": "none"}
            return
        is_named = choice is not None and choice.mode == "required" and len(choice.names) == 1
        if choice is not None and choice.names and not is_named:
            tools = tuple(tool for tool in tools if tool.name in choice.names)
            if not tools:
                raise InvalidParameter("tool_choice allows no tool that is in tools", param="tool_choice")
        self._body["tools"] = [_tool(tool, f"tools[{at}]") for at, tool in enumerate(tools)]
        if chosen := self._choice():
            self._body["tool_choice"] = chosen

    def _choice(self) -> dict[str, Any] | None:
        choice, parallel = self._request.tool_choice, self._request.parallel_tool_calls
        if choice is not None and choice.mode == "none":
            return {"type": "none"}
        chosen: dict[str, Any] | None = None
        if choice is not None and choice.mode == "required":
            chosen = self._forced(choice.names)
        elif choice is not None or parallel is False:
            chosen = {"type": "auto"}
        if chosen is not None and parallel is False:
            chosen["disable_parallel_tool_use"] = True
        return chosen

    def _forced(self, names: tuple[str, ...]) -> dict[str, Any]:
        if self._traits.forces_tools:
            return {"type": "tool", "name": names[0]} if len(names) == 1 else {"type": "any"}
        if self._options.get("unforceable_tool_choice") == "reject":
            raise UnsupportedValue("this model cannot be made to call a tool", param="tool_choice")
        self._dropped.append("tool_choice")
        return {"type": "auto"}

    def _shape(self) -> None:
        wanted = self._request.response_format
        if wanted is None or wanted.kind != "json_schema":
            return
        schema: Any = msgspec.json.decode(wanted.schema) if wanted.schema else {}
        self._configure("format", {"type": "json_schema", "schema": enforceable(schema or _EMPTY_SCHEMA)})

    def _configure(self, key: str, value: Any) -> None:
        config = cast("dict[str, Any]", self._body.get("output_config") or {})
        self._body["output_config"] = {**config, key: value}

    def _think(self, conversation: Conversation) -> None:
        effort = self._request.reasoning_effort or self._options.get("reasoning_effort")
        if effort is None:
            return
        budgets = cast("Mapping[str, int]", self._options.get("thinking_budgets") or {})
        limit = self._body["max_tokens"] + (self._profile.thinking_tokens or 0)
        wanted = thinking.asked(str(effort), self._traits, max_tokens=limit, budgets=budgets)
        is_forced = self._body.get("tool_choice", {}).get("type") in {"any", "tool"}
        if wanted.has_budget and (is_forced or conversation.lacks_reasoning):
            wanted = thinking.Thinking(wanted.effort)
        if wanted.effort is not None:
            self._configure("effort", wanted.effort)
        if wanted.thinking is not None:
            self._body["thinking"] = wanted.thinking
        if wanted == thinking.Thinking() and effort != "none" and self._request.reasoning_effort:
            self._dropped.append("reasoning_effort")

    def _make_room(self) -> None:
        """Thinking counts towards the output limit: it gets its own room where there will be some."""
        room, given = self._profile.thinking_tokens, cast("Mapping[str, Any]", self._body.get("thinking") or {})
        kind = given.get("type", "adaptive" if self._traits.thinks_unasked else None)
        if not room or kind not in {"adaptive", "enabled"}:
            return
        visible = self._body["max_tokens"]
        limit = self._body["max_tokens"] = min(visible + room, self._traits.max_tokens)
        if kind == "enabled" and limit > thinking.MIN_BUDGET:
            self._body["thinking"] = {**given, "budget_tokens": max(thinking.MIN_BUDGET, limit - visible)}

    def _stop(self) -> None:
        default: object = self._options.get("stop") or ()
        asked = self._request.sampling.stop or ((default,) if isinstance(default, str) else default)
        stops = [text for text in cast("tuple[str, ...]", asked) if text.strip()]
        if stops:
            self._body["stop_sequences"] = stops
        if len(stops) < len(self._request.sampling.stop):
            self._dropped.append("stop")

    def _choose_tier(self, tier: str) -> None:
        if tier in _TIERS:
            self._body["service_tier"] = _TIERS[tier]
        else:
            self._dropped.append("service_tier")


def _tool(tool: Tool, place: str) -> dict[str, Any]:
    body: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        body["description"] = tool.description
    body["input_schema"] = _input_schema(tool, place)
    if tool.strict is not None:
        body["strict"] = tool.strict
    if tool.cache is not None:
        body["cache_control"] = tool.cache
    return body


def _input_schema(tool: Tool, place: str) -> Any:
    """The client's schema as it came, so that it is the same bytes each time; one without a type is an object's."""
    if tool.parameters is None:
        return _EMPTY_SCHEMA
    try:
        fields = _SCHEMA_TYPE.decode(tool.parameters)
    except UNREADABLE:
        raise InvalidParameter("a tool's parameters are a JSON schema", param=f"{place}.function.parameters") from None
    if not fields:
        return _EMPTY_SCHEMA
    if tool.strict:
        return enforceable(msgspec.json.decode(tool.parameters))
    return tool.parameters if "type" in fields else {"type": "object", **fields}

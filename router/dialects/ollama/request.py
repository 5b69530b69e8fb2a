"""Hub requests as Ollama wants them."""

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from router.canonical.request import (
    ChatRequest,
    EmbedRequest,
    ImagePart,
    Message,
    OpaquePart,
    Profile,
    TextPart,
    Tool,
    ToolCall,
)
from router.dialects.alias_options import CLAUDE_OPTIONS, CONTEXT_OPTION, RUNNER_OPTIONS, client_options, pinned_options
from router.dialects.failures import UNREADABLE
from router.dialects.ollama.names import OWN
from router.dialects.undecoded import given
from router.errors import InvalidParameter, UnsupportedParameter

_OPTION_NAMES = {"max_tokens": "num_predict", "max_completion_tokens": "num_predict"}
_TOP_LEVEL = frozenset({"keep_alive", "think", "truncate", "shift"})
_SAMPLED = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")
_ROLES = frozenset({"system", "user", "assistant", "tool"})
_ROLE_NAMES = {"developer": "system", "function": "tool"}
_EFFORTS: Mapping[str, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "max": "max",
}
_EMBED_FIELDS = frozenset({"model", "input", "prompt", "encoding_format", "dimensions"})
_OWN_EMBED = frozenset({"keep_alive", "options", "truncate"})
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_SECONDS = re.compile(r"^-?\d+(\.\d+)?$")


class Rendered(Struct, frozen=True):
    """A body for Ollama, and the request fields that it could not carry."""

    body: bytes
    dropped: tuple[str, ...] = ()


def render_request(
    request: ChatRequest, model: str, profile: Profile, capabilities: frozenset[str] | None, *, knows_max: bool = True
) -> Rendered:
    """The body of `/api/chat`.

    `capabilities` are the model's, None when unknown; `knows_max` is whether the server takes `think: "max"`.
    Raises UnsupportedParameter for what Ollama cannot do and leaving out would falsify.
    """
    _refuse(request, capabilities)
    try:
        return _rendered(request, model, profile, capabilities=capabilities, knows_max=knows_max)
    except (*UNREADABLE, OverflowError):
        raise InvalidParameter("the request holds JSON that Ollama could not read") from None


def _rendered(
    request: ChatRequest, model: str, profile: Profile, *, capabilities: frozenset[str] | None, knows_max: bool
) -> Rendered:
    dropped = [*request.unsupported, *_unenforced(request)]
    body: dict[str, Any] = {"model": model, "messages": _messages(request.messages), "stream": request.stream}
    if tools := _offered(request):
        body["tools"] = [_tool(tool) for tool in tools]
    if request.response_format is not None and request.response_format.kind != "text":
        body["format"] = request.response_format.schema or "json"
    body.update(running(request, profile, dropped))
    _think(request, body, dropped, capabilities=capabilities, knows_max=knows_max)
    if profile.thinking_tokens and capabilities and "thinking" in capabilities:
        _make_room(body, profile.thinking_tokens)
    return Rendered(msgspec.json.encode(body), tuple(dropped))


def running(request: ChatRequest, profile: Profile, dropped: list[str]) -> dict[str, Any]:
    """How the model is to run, whatever it is asked; adds to `dropped` what it cannot be told."""
    body: dict[str, Any] = {}
    if options := _options(request, profile, dropped):
        body["options"] = options
    if request.logprobs:
        body["logprobs"] = True
        if request.top_logprobs is not None:
            body["top_logprobs"] = request.top_logprobs
    elif request.top_logprobs:
        dropped.append("top_logprobs")
    body["truncate"] = _truncates(request, profile, dropped)
    body.update(_loaded(request, profile))
    for key in ("keep_alive", "think"):
        value = request.extras.get(key, profile.options.get(key))
        if value is not None:
            body[key] = _duration(value) if key == "keep_alive" else value
    return body


def render_embed(request: EmbedRequest, model: str, profile: Profile) -> Rendered:
    """The body of `/api/embed`; an empty text is sent as a list, because Ollama answers a bare one with nothing."""
    single = len(request.inputs) == 1 and request.inputs[0] != ""
    body: dict[str, Any] = {"model": model, "input": request.inputs[0] if single else request.inputs}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    own = _own_embed_fields(request)
    keep_alive = own.get("keep_alive", profile.options.get("keep_alive"))
    if keep_alive is not None:
        body["keep_alive"] = _duration(keep_alive)
    pinned = pinned_options(profile)
    asked = {
        key: value for key, value in client_options(own).items() if key not in RUNNER_OPTIONS - profile.client_options
    }
    options = {**cast("dict[str, Any]", profile.options.get("options") or {}), **pinned, **asked}
    options.pop("shift", None)
    if options:
        body["options"] = options
    allowed = profile.truncate or bool(profile.options.get("truncate", False))
    body["truncate"] = allowed and own.get("truncate") is not False
    known = _EMBED_FIELDS | own.keys()
    dropped = tuple(key for key, raw in request.wire.fields.items() if key not in known and given(raw))
    return Rendered(msgspec.json.encode(body), dropped)


def render_keep(model: str, profile: Profile, keep_alive: float | str | None) -> bytes:
    """The body of `/api/generate` that loads a model as the alias wants it, or lets it go, and asks nothing."""
    body: dict[str, Any] = {"model": model, "stream": False}
    pinned = pinned_options(profile)
    if (shift := pinned.pop("shift", None)) is not None:
        body["shift"] = shift
    if pinned:
        body["options"] = pinned
    stays = profile.options.get("keep_alive") if keep_alive is None else keep_alive
    if stays is not None:
        body["keep_alive"] = _duration(stays)
    return msgspec.json.encode(body)


def _own_embed_fields(request: EmbedRequest) -> dict[str, Any]:
    """What a client of Ollama's says beside OpenAI's fields."""
    if request.wire.dialect not in OWN:
        return {}
    fields = request.wire.fields
    return {key: msgspec.json.decode(fields[key]) for key in _OWN_EMBED & fields.keys() if given(fields[key])}


def _refuse(request: ChatRequest, capabilities: frozenset[str] | None) -> None:
    if request.n > 1:
        raise UnsupportedParameter("an Ollama model gives one answer at a time: n must be 1", param="n")
    if "functions" in request.unsupported and not request.tools:
        raise UnsupportedParameter("functions are not sent to Ollama: send them as tools", param="functions")
    for place, tool in enumerate(request.tools):
        if tool.kind != "function":
            raise UnsupportedParameter(f"Ollama knows no tools of type '{tool.kind}'", param=f"tools[{place}].type")
    if capabilities is None:
        return
    if request.tools and "tools" not in capabilities and not _forbids_tools(request):
        raise UnsupportedParameter(f"the model '{request.model}' does not support tools", param="tools")
    if request.has_images and "vision" not in capabilities:
        raise UnsupportedParameter(f"the model '{request.model}' does not take images", param="messages")


def _forbids_tools(request: ChatRequest) -> bool:
    return request.tool_choice is not None and request.tool_choice.mode == "none"


def _unenforced(request: ChatRequest) -> list[str]:
    """Rules about tools that Ollama has no field for."""
    rules: list[str] = []
    if request.tools and request.tool_choice is not None and request.tool_choice.mode == "required":
        rules.append("tool_choice")
    if request.tools and request.parallel_tool_calls is False:
        rules.append("parallel_tool_calls")
    return rules


def _offered(request: ChatRequest) -> tuple[Tool, ...]:
    if _forbids_tools(request):
        return ()
    names = request.tool_choice.names if request.tool_choice else ()
    return tuple(tool for tool in request.tools if not names or tool.name in names)


def _messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    names: dict[str, str] = {}
    rendered: list[dict[str, Any]] = []
    for place, message in enumerate(messages):
        names.update((call.id, call.name) for call in message.tool_calls)
        rendered.append(_message(message, names, f"messages[{place}]"))
    return rendered


def _message(message: Message, names: Mapping[str, str], place: str) -> dict[str, Any]:
    role = _ROLE_NAMES.get(message.role, message.role)
    if role not in _ROLES:
        raise UnsupportedParameter(f"Ollama has no role '{message.role}'", param=f"{place}.role")
    body: dict[str, Any] = {"role": role, "content": _text(message, place)}
    if images := [_image(part, place) for part in message.parts if isinstance(part, ImagePart)]:
        body["images"] = images
    if message.reasoning:
        body["thinking"] = message.reasoning
    if message.tool_calls:
        body["tool_calls"] = [
            _call(call, at, f"{place}.tool_calls[{at}]") for at, call in enumerate(message.tool_calls)
        ]
    if role == "tool":
        name = names.get(message.tool_call_id or "") or message.name
        if name:
            body["tool_name"] = name
        if message.tool_call_id:
            body["tool_call_id"] = message.tool_call_id
    return body


def _text(message: Message, place: str) -> str:
    for at, part in enumerate(message.parts):
        if isinstance(part, OpaquePart):
            raise UnsupportedParameter(
                f"Ollama takes text and images, not a part of type '{part.kind}'", param=f"{place}.content[{at}].type"
            )
    return "\n".join(part.text for part in message.parts if isinstance(part, TextPart))


def _image(part: ImagePart, place: str) -> str:
    if part.url:
        raise UnsupportedParameter(
            "image URLs are not fetched: send the image as a data: URL with base64 data", param=f"{place}.content"
        )
    if not part.data:
        raise InvalidParameter("an image has no data", param=f"{place}.content")
    return part.data


def _call(call: ToolCall, index: int, place: str) -> dict[str, Any]:
    """A call with its arguments as the model wrote them; Ollama takes an object where OpenAI has its text."""
    text = call.arguments.strip() or "{}"
    try:
        _OBJECT.decode(text)
    except UNREADABLE:
        raise InvalidParameter(
            f"the arguments of the call to '{call.name}' are not a JSON object", param=f"{place}.function.arguments"
        ) from None
    body: dict[str, Any] = {"function": {"index": index, "name": call.name, "arguments": Raw(text.encode())}}
    return {"id": call.id, **body} if call.id else body


def _tool(tool: Tool) -> dict[str, Any]:
    schema: Any = msgspec.json.decode(tool.parameters) if tool.parameters else None
    if not isinstance(schema, dict) or not schema:
        schema = {"type": "object", "properties": {}}
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = _without_booleans(cast("dict[str, Any]", schema))
    return {"type": "function", "function": function}


def _without_booleans(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with every boolean subschema of `properties` as an object, which is all that Ollama decodes."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return schema
    named = cast("dict[str, Any]", properties)
    return {**schema, "properties": {name: _subschema(value) for name, value in named.items()}}


def _subschema(value: Any) -> Any:
    if isinstance(value, bool):
        return {} if value else {"not": {}}
    return _without_booleans(cast("dict[str, Any]", value)) if isinstance(value, dict) else value


def _options(request: ChatRequest, profile: Profile, dropped: list[str]) -> dict[str, Any]:
    """Alias defaults, under the client's own `options`, under the client's OpenAI parameters."""
    options: dict[str, Any] = {}
    for key, value in profile.options.items():
        if key not in _TOP_LEVEL and key != "options" and key not in CLAUDE_OPTIONS:
            name = _OPTION_NAMES.get(key, key)
            options[name] = [value] if name == "stop" and isinstance(value, str) else value
    options.update(cast("dict[str, Any]", profile.options.get("options") or {}))
    if profile.context_length is not None:
        options[CONTEXT_OPTION] = profile.context_length
    if request.extras:
        options.update(_asked(request, profile, dropped))
    options.pop("shift", None)
    sampling = request.sampling
    options.update((key, getattr(sampling, key)) for key in _SAMPLED if getattr(sampling, key) is not None)
    if sampling.stop:
        options["stop"] = list(sampling.stop)
    _limit_output(options, sampling.max_tokens, profile.max_tokens)
    return options


def _asked(request: ChatRequest, profile: Profile, dropped: list[str]) -> dict[str, Any]:
    """The native options of a client that knows whom it talks to.

    One that the model is loaded with would make the server load it anew, for every other client too, and so is dropped
    unless the alias lets clients set it, or says the same.
    """
    if not isinstance(request.extras.get("options", {}), dict):
        raise InvalidParameter("options must be an object", param="options")
    asked = client_options(request.extras)
    frozen = (RUNNER_OPTIONS & asked.keys()) - profile.client_options
    if frozen:
        pinned = pinned_options(profile)
        dropped += sorted(key for key in frozen if asked[key] is not None and asked[key] != pinned.get(key))
    return {key: value for key, value in asked.items() if key not in frozen}


def _loaded(request: ChatRequest, profile: Profile) -> dict[str, Any]:
    """`shift`, which the model is loaded with, though it stands beside `options`."""
    pinned = pinned_options(profile).get("shift") if profile.options else None
    asked = request.extras.get("shift")
    if asked is not None and "shift" in profile.client_options:
        return {"shift": asked}
    return {} if pinned is None else {"shift": pinned}


def _truncates(request: ChatRequest, profile: Profile, dropped: list[str]) -> bool:
    """Whether the server may cut the prompt: the alias says so, and a client may only forbid it."""
    allowed = profile.truncate or bool(profile.options.get("truncate", False))
    asked = request.extras.get("truncate")
    if asked and not allowed:
        dropped.append("truncate")
    return allowed and asked is not False


def _limit_output(options: dict[str, Any], asked: int | None, limit: int | None) -> None:
    if asked is not None:
        options["num_predict"] = asked
    if limit is not None:
        wanted = options.get("num_predict")
        options["num_predict"] = min(wanted, limit) if isinstance(wanted, int) and wanted >= 0 else limit


def _make_room(body: dict[str, Any], tokens: int) -> None:
    """Lets a model that thinks do so without taking from what its answer may be long."""
    limit = body.get("options", {}).get("num_predict")
    if isinstance(limit, int) and limit >= 0 and body.get("think") is not False:
        body["options"]["num_predict"] = limit + tokens


def _think(
    request: ChatRequest,
    body: dict[str, Any],
    dropped: list[str],
    *,
    capabilities: frozenset[str] | None,
    knows_max: bool,
) -> None:
    """Sets `think` when the model is known to think; an effort for any other is dropped and said so."""
    effort = request.reasoning_effort
    own = request.extras.get("think") if request.wire.dialect in OWN else None
    thinks = capabilities is not None and "thinking" in capabilities
    if effort is not None:
        if effort not in _EFFORTS:
            raise InvalidParameter(f"reasoning_effort must be one of {', '.join(_EFFORTS)}", param="reasoning_effort")
        level = _EFFORTS[effort] if own is None else own
        if thinks or (capabilities is None and level is False):
            body["think"] = level if level != "max" or knows_max else "high"
        elif level is not False:
            dropped.append("reasoning_effort")
    if capabilities is not None and not thinks and body.pop("think", None) and request.extras.get("think"):
        dropped.append("think")


def _duration(value: Any) -> Any:
    """A keep-alive as Ollama reads it: a string of bare digits would be refused, a number of seconds is not."""
    if isinstance(value, str) and _SECONDS.match(value.strip()):
        number = float(value)
        return int(number) if number.is_integer() else number
    return value

"""Requests of Ollama's clients: bytes to the hub."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from router.canonical.completion import CompletionRequest, spoken
from router.canonical.request import ChatRequest, EmbedRequest, Message, ResponseFormat, Sampling, Tool, Wire
from router.dialects.ollama.conversation import Conversation, Written, parts
from router.dialects.ollama.names import GENERATE, NAME
from router.dialects.openai_body import decode_fields, decode_typed
from router.dialects.undecoded import ABSENT, given
from router.errors import BadRequest, InvalidParameter

MAX_TOP_LOGPROBS = 20
MAX_INPUTS = 2048
LEVELS = ("low", "medium", "high", "max")
_USUAL_EFFORT = "medium"
_SAMPLED = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "stop")
_KNOWN = frozenset(
    {
        "model", "messages", "tools", "format", "options", "stream", "think", "keep_alive", "truncate", "shift",
        "logprobs", "top_logprobs", "prompt", "suffix", "system", "raw", "images",
    }
)  # fmt: skip


class _Options(Struct):
    """The options that every kind of backend knows; all others are for those that know them."""

    temperature: float | None = None
    top_p: float | None = None
    seed: int | float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    num_predict: int | float | None = None
    stop: list[str] | str | None = None


class _Function(Struct):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT


class _Tool(Struct):
    type: str = "function"
    function: _Function | None = None


class _Asked(Struct):
    """What both ways to ask have in common; `think` is a bool or a level."""

    model: str | None = None
    stream: bool | None = None
    format: Raw = ABSENT
    options: Raw = ABSENT
    think: bool | str | None = None
    keep_alive: float | str | None = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class _Chat(_Asked):
    messages: list[Written] | None = None
    tools: list[_Tool] | None = None


class _Generate(_Asked):
    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: list[int] | None = None
    raw: bool | None = None
    images: list[str] | None = None


class _Embed(Struct):
    model: str | None = None
    input: str | list[str] | None = None
    prompt: str | None = None
    dimensions: int | None = None
    keep_alive: float | str | None = None
    truncate: bool | None = None
    options: Raw = ABSENT


_CHAT = msgspec.json.Decoder(_Chat)
_GENERATE = msgspec.json.Decoder(_Generate)
_EMBED = msgspec.json.Decoder(_Embed)
_OPTIONS = msgspec.json.Decoder(_Options)
_ANY = msgspec.json.Decoder(dict[str, Any])


class Keep(Struct, frozen=True):
    """A request that asks nothing: the model is to be loaded, or not to stay. `keep_alive` is as Ollama takes it."""

    model: str
    keep_alive: float | str | None = None

    @property
    def unloads(self) -> bool:
        """Whether the model is to go."""
        return self.keep_alive == 0 or (isinstance(self.keep_alive, str) and self.keep_alive.strip() in {"0", "0s"})


def parse_chat(body: bytes) -> ChatRequest | Keep:
    """The body of `/api/chat`; raises InvalidJSON, or InvalidParameter naming the field."""
    fields = _fields(body)
    asked = decode_typed(_CHAT, body)
    if not asked.messages:
        return Keep(_model(asked.model), asked.keep_alive)
    tools = tuple(_tool(tool, f"tools[{place}]") for place, tool in enumerate(asked.tools or ()))
    messages = Conversation().messages(asked.messages)
    return ChatRequest(messages=messages, tools=tools, wire=Wire(NAME, fields), **_common(asked, fields))


def parse_generate(body: bytes) -> ChatRequest | CompletionRequest | Keep:
    """The body of `/api/generate`: a chat of one message, but where no template is wanted or a gap is to be filled.

    Raises InvalidJSON, or InvalidParameter naming the field.
    """
    fields = _fields(body)
    asked = decode_typed(_GENERATE, body)
    if not asked.prompt and not asked.suffix and not asked.images:
        return Keep(_model(asked.model), asked.keep_alive)
    if asked.raw and (asked.template or asked.system or asked.context):
        raise BadRequest("raw mode does not support template, system, or context")
    prompt, wire, common = asked.prompt or "", Wire(GENERATE, fields), _common(asked, fields)
    if asked.raw or asked.suffix:
        if asked.images:
            raise InvalidParameter("neither a raw prompt nor a gap takes images", param="images")
        suffix, told = asked.suffix or None, spoken((prompt,), asked.suffix)
        return CompletionRequest(
            messages=told, prompts=(prompt,), suffix=suffix, infills=bool(suffix), wire=wire, **common
        )
    system = (Message("system", parts(asked.system, None, "system")),) if asked.system else ()
    user = Message("user", parts(prompt, asked.images, "generate"))
    return ChatRequest(messages=(*system, user), wire=wire, **common)


def parse_embed(body: bytes) -> EmbedRequest:
    """The body of `/api/embed`, or of `/api/embeddings` with its one `prompt`; without inputs nothing is asked."""
    fields = _fields(body)
    asked = decode_typed(_EMBED, body)
    texts = asked.input if asked.prompt is None else asked.prompt
    inputs = tuple(texts) if isinstance(texts, list) else (texts,) if texts else ()
    if len(inputs) > MAX_INPUTS:
        raise InvalidParameter(f"input has more than {MAX_INPUTS} entries", param="input")
    dimensions = asked.dimensions if asked.dimensions and asked.dimensions > 0 else None
    return EmbedRequest(model=_model(asked.model), inputs=inputs, wire=Wire(NAME, fields), dimensions=dimensions)


def _fields(body: bytes) -> dict[str, Raw]:
    if not body.strip():
        raise BadRequest("missing request body")
    return decode_fields(body)


def _model(name: str | None) -> str:
    if not name:
        raise InvalidParameter("model is required", param="model")
    return name


def _common(asked: _Asked, fields: Mapping[str, Raw]) -> dict[str, Any]:
    if asked.top_logprobs is not None and not 0 <= asked.top_logprobs <= MAX_TOP_LOGPROBS:
        raise InvalidParameter(f"top_logprobs must be between 0 and {MAX_TOP_LOGPROBS}", param="top_logprobs")
    return {
        "model": _model(asked.model),
        "stream": asked.stream is not False,
        "include_usage": True,
        "sampling": _sampling(asked.options),
        "response_format": _format(asked.format),
        "reasoning_effort": _effort(asked.think),
        "logprobs": bool(asked.logprobs),
        "top_logprobs": asked.top_logprobs,
        "unsupported": tuple(key for key, raw in fields.items() if key not in _KNOWN and given(raw) is not None),
        "extras": _extras(asked),
    }


def _sampling(written: Raw) -> Sampling:
    options = decode_typed(_OPTIONS, written) if given(written) else _Options()
    stop, limit = options.stop, options.num_predict
    return Sampling(
        max_tokens=int(limit) if limit is not None and limit >= 0 else None,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=None if options.seed is None else int(options.seed),
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
    )


def _extras(asked: _Asked) -> dict[str, Any]:
    """What only a backend of the same kind understands."""
    extras: dict[str, Any] = {}
    if given(asked.options):
        options = decode_typed(_ANY, asked.options)
        rest = {key: value for key, value in options.items() if key not in _SAMPLED and value is not None}
        limit = rest.get("num_predict")
        if isinstance(limit, (int, float)) and limit >= 0:
            del rest["num_predict"]
        if rest:
            extras["options"] = rest
    for key in ("keep_alive", "think", "truncate", "shift"):
        if (value := getattr(asked, key)) is not None:
            extras[key] = value
    return extras


def _format(written: Raw) -> ResponseFormat | None:
    wanted = given(written)
    if wanted is None or bytes(wanted) == b'""':
        return None
    if bytes(wanted) == b'"json"':
        return ResponseFormat("json_object")
    if bytes(wanted).startswith(b"{"):
        return ResponseFormat("json_schema", wanted)
    raise InvalidParameter('format must be "json" or a JSON Schema object', param="format")


def _effort(think: bool | str | None) -> str | None:
    if isinstance(think, bool):
        return _USUAL_EFFORT if think else "none"
    if think and think not in LEVELS:
        raise InvalidParameter(f"think must be true, false, or one of {', '.join(LEVELS)}", param="think")
    return think or None


def _tool(tool: _Tool, place: str) -> Tool:
    if tool.function is None:
        if tool.type == "function":
            raise InvalidParameter("a tool has no function", param=place)
        return Tool("", kind=tool.type)
    return Tool(tool.function.name, tool.function.description, given(tool.function.parameters), kind=tool.type)

"""What Ollama refuses before it generates anything, in its own words."""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.ask import Ask
from tests.fakes.persona import FakeModel, Persona, full_name
from tests.fakes.refusal import Refusal

_DURATION = re.compile(r"-?(0|(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+)")
_THINK_LEVELS = ("low", "medium", "high", "max")
_OPTION_TYPES: dict[str, tuple[str, type | tuple[type, ...]]] = {
    "temperature": ("float32", (int, float)),
    "top_p": ("float32", (int, float)),
    "min_p": ("float32", (int, float)),
    "presence_penalty": ("float32", (int, float)),
    "frequency_penalty": ("float32", (int, float)),
    "repeat_penalty": ("float32", (int, float)),
    "num_predict": ("integer", (int, float)),
    "num_ctx": ("integer", (int, float)),
    "seed": ("integer", (int, float)),
    "top_k": ("integer", (int, float)),
    "stop": ("array", list),
}


def native_fields(ask: Ask) -> dict[str, Any]:
    if not ask.raw:
        raise Refusal(400, "missing request body")
    try:
        fields = ask.fields()
    except (ValueError, TypeError) as error:
        raise Refusal(400, "invalid character looking for beginning of value") from error
    stream = fields.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise Refusal(400, _unmarshal(stream, "Request.stream", wanted="bool"))
    _check_keep_alive(fields.get("keep_alive"))
    return fields


def known_model(persona: Persona, name: object, *, quote: str = "'", hint: str = "") -> FakeModel:
    """`quote` and `hint` are how this endpoint words its 404."""
    if not isinstance(name, str) or not name:
        raise Refusal(400, "model is required")
    model = persona.find(name)
    if model is None:
        raise Refusal(404, f"model {quote}{name}{quote} not found{hint}")
    return model


def check_capabilities(model: FakeModel, fields: Mapping[str, Any], *, verb: str) -> None:
    name = fields["model"]
    missing = []
    if "completion" not in model.capabilities:
        missing.append(f'"{name}" does not support {verb}')
    if fields.get("tools") and "tools" not in model.capabilities:
        missing.append(f"registry.ollama.ai/library/{full_name(name)} does not support tools")
    if fields.get("suffix") and "insert" not in model.capabilities:
        missing.append(f"registry.ollama.ai/library/{full_name(name)} does not support insert")
    if fields.get("think") and "thinking" not in model.capabilities:
        missing.append(f'"{name}" does not support thinking')
    if missing:
        raise Refusal(400, "\n".join(missing))


def check_generation(fields: Mapping[str, Any]) -> None:
    _check_think(fields.get("think"))
    _check_options(fields.get("options") or {})
    form = fields.get("format")
    if form not in (None, "", "json") and not isinstance(form, dict):
        raise Refusal(500, f'invalid format: "{form}"; expected "json" or a valid JSON Schema object')


def check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    for message in messages:
        content = message.get("content")
        if content is not None and not isinstance(content, str):
            raise Refusal(400, _unmarshal(content, "ChatRequest.messages.content", wanted="string"))
        check_images(message.get("images") or [])
        for call in message.get("tool_calls") or []:
            if isinstance(call["function"].get("arguments"), str):
                raise Refusal(400, "Value looks like object, but can't find closing '}' symbol")


def check_images(images: Sequence[str]) -> None:
    for image in images:
        try:
            base64.b64decode(image.replace("\r", "").replace("\n", ""), validate=True)
        except ValueError as error:
            at = image.find(":") if image.startswith("data:") else 0
            raise Refusal(400, f"illegal base64 data at input byte {at}") from error


def _check_keep_alive(value: object) -> None:
    if isinstance(value, bool):
        raise Refusal(400, "Unsupported type: 'bool'")
    if isinstance(value, str) and not _DURATION.fullmatch(value):
        raise Refusal(400, f'time: missing unit in duration "{value}"')


def _check_think(think: object) -> None:
    if think is None or isinstance(think, bool) or think in _THINK_LEVELS:
        return
    allowed = '(must be "high", "medium", "low", "max", true, or false)'
    raise Refusal(400, f'invalid think value: "{think}" {allowed}')


def _check_options(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        wanted, types = _OPTION_TYPES.get(name, ("", object))
        if value is not None and (not isinstance(value, types) or (wanted and isinstance(value, bool))):
            raise Refusal(500, f'option "{name}" must be of type {wanted}')


def _unmarshal(value: object, target: str, *, wanted: str) -> str:
    names: dict[type[Any], str] = {list: "array", dict: "object", str: "string", bool: "bool"}
    got = names.get(type(value), "number")
    return f"json: cannot unmarshal {got} into Go struct field {target} of type {wanted}"

"""Text completions for a backend of the same format: the client's own fields, but for what must differ."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from router.canonical.completion import CompletionRequest
from router.canonical.request import Profile
from router.dialects.alias_options import CLAUDE_OPTIONS, OLLAMA_OPTIONS, client_options
from router.dialects.openai_completions.ids import NAME
from router.dialects.undecoded import given

_NATIVE = OLLAMA_OPTIONS | CLAUDE_OPTIONS | {"max_completion_tokens"}
_TRANSLATED = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")
_BESIDE = ("top_k", "min_p", "repeat_penalty")
"""Options of Ollama that many servers know under the same name."""
_STREAM_OPTIONS = msgspec.json.Decoder(dict[str, Raw] | None)


def render_request(request: CompletionRequest, model: str, profile: Profile) -> bytes:
    """The body for a backend of this dialect; usage is always asked for."""
    is_own = request.wire.dialect == NAME
    wire: Mapping[str, Any] = request.wire.fields if is_own else _spoken(request)
    fields: dict[str, Any] = {key: raw for key, raw in wire.items() if key not in OLLAMA_OPTIONS}
    if not is_own or "options" in request.extras:
        _translate(request, fields)
    for key, value in profile.options.items():
        if key not in _NATIVE and not _has(fields, key):
            fields[key] = value
    if (limit := _limit(request, profile)) is not None and not _says(fields, "max_tokens", limit):
        fields["max_tokens"] = limit
    fields["model"] = model
    if request.stream:
        asked = wire.get("stream_options")
        fields["stream"] = True
        fields["stream_options"] = {**((_STREAM_OPTIONS.decode(asked) if asked else None) or {}), "include_usage": True}
    else:
        fields.pop("stream", None)
        fields.pop("stream_options", None)
    return msgspec.json.encode(fields)


def _spoken(request: CompletionRequest) -> dict[str, Any]:
    """A request of another dialect, but for how it is to be sampled."""
    prompts = request.prompts
    fields: dict[str, Any] = {"prompt": prompts[0] if len(prompts) == 1 else prompts}
    if request.suffix is not None:
        fields["suffix"] = request.suffix
    if request.logprobs:
        fields["logprobs"] = request.top_logprobs or 0
    return fields


def _translate(request: CompletionRequest, fields: dict[str, Any]) -> None:
    """What Ollama's options say, in OpenAI's words."""
    sampling = request.sampling
    for key in _TRANSLATED:
        if getattr(sampling, key) is not None:
            fields[key] = getattr(sampling, key)
    if sampling.stop:
        fields["stop"] = sampling.stop
    if sampling.max_tokens is not None:
        fields["max_tokens"] = sampling.max_tokens
    asked = client_options(request.extras)
    fields.update((key, asked[key]) for key in _BESIDE if asked.get(key) is not None)


def _limit(request: CompletionRequest, profile: Profile) -> int | None:
    asked = request.sampling.max_tokens
    if profile.max_tokens is None:
        return asked
    return profile.max_tokens if asked is None or asked < 0 else min(asked, profile.max_tokens)


def _says(fields: Mapping[str, Any], key: str, value: int) -> bool:
    said = fields.get(key)
    return said == value or (isinstance(said, Raw) and bytes(said) == str(value).encode())


def _has(fields: Mapping[str, Any], key: str) -> bool:
    """Whether a request says anything of a field; null says nothing."""
    return key in fields and given(fields[key]) is not None

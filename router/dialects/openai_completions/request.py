"""Text completions as clients send them: bytes to the hub."""

import re
from collections.abc import Mapping, Sequence
from typing import cast

import msgspec
from msgspec import Raw, Struct

from router.canonical.completion import CompletionRequest, Prompt, spoken
from router.canonical.request import Sampling, Wire
from router.dialects.openai_body import decode_fields, decode_typed
from router.dialects.openai_completions.ids import NAME
from router.dialects.undecoded import ABSENT, given
from router.errors import InvalidParameter

MAX_ANSWERS = 128
"""Prompts times answers to each."""
MAX_LOGPROBS = 20

EXTRAS = frozenset({"options", "keep_alive", "think", "num_ctx", "top_k", "min_p", "repeat_penalty"})
_KNOWN = EXTRAS | {
    "model", "prompt", "suffix", "max_tokens", "temperature", "top_p", "n", "stream", "stream_options", "logprobs",
    "echo", "stop", "presence_penalty", "frequency_penalty", "best_of", "seed",
}  # fmt: skip

_GAP = re.compile(r"<\|?fim[_-]|<\uff5cfim|<PRE>|\[SUFFIX\]|<\|code_(prefix|suffix)\|>", re.IGNORECASE)
"""Words in which models of code are told of a gap: Qwen, StarCoder, DeepSeek, CodeLlama, Codestral, Granite."""


class _Options(Struct):
    """Ollama's options for what OpenAI has fields of its own for; some editors send them to every server."""

    temperature: float | None = None
    top_p: float | None = None
    num_predict: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Request(Struct):
    model: str | None = None
    prompt: str | list[str | int | list[int]] | None = None
    suffix: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    best_of: int | None = None
    logprobs: int | bool | None = None
    echo: bool | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    options: _Options | None = None
    metadata: Raw = ABSENT
    user: Raw = ABSENT


_DECODER = msgspec.json.Decoder(_Request)
_ANY = msgspec.json.Decoder()
_TEXTS = msgspec.json.Decoder(dict[str, object])


def parse_request(body: bytes) -> CompletionRequest:
    """A client's body as a request; raises InvalidJSON, or InvalidParameter naming the field."""
    fields = decode_fields(body)
    wire = decode_typed(_DECODER, body)
    if not wire.model:
        raise InvalidParameter("you must provide a model parameter", param="model")
    prompts = _prompts(wire.prompt)
    _check_limits(wire, len(prompts))
    logprobs = int(wire.logprobs) if wire.logprobs is not None and wire.logprobs is not False else None
    suffix = wire.suffix or None
    return CompletionRequest(
        model=wire.model,
        messages=spoken(prompts, suffix),
        prompts=prompts,
        suffix=suffix,
        infills=wire.suffix is not None or any(isinstance(prompt, str) and _GAP.search(prompt) for prompt in prompts),
        echo=bool(wire.echo),
        wire=Wire(NAME, fields),
        stream=bool(wire.stream),
        include_usage=bool(wire.stream_options and wire.stream_options.include_usage),
        sampling=_sampling(wire, wire.options or _Options()),
        n=wire.n or 1,
        logprobs=logprobs is not None,
        top_logprobs=logprobs,
        unsupported=_unsupported(fields, wire),
        extras={key: decode_typed(_ANY, fields[key]) for key in EXTRAS & fields.keys() if given(fields[key])},
        task=_text(wire.metadata, "task"),
        user=_name(wire.user),
    )


def _prompts(asked: str | list[str | int | list[int]] | None) -> tuple[Prompt, ...]:
    if asked is None:
        raise InvalidParameter("you must provide a prompt parameter", param="prompt")
    if isinstance(asked, str):
        return (asked,)
    if not asked:
        raise InvalidParameter("prompt is empty: send a text or a list of texts", param="prompt")
    if all(isinstance(item, int) for item in asked):
        return (_ids(cast("list[int]", asked)),)
    if all(isinstance(item, str) for item in asked):
        return tuple(cast("list[str]", asked))
    if all(isinstance(item, list) for item in asked):
        return tuple(_ids(item) for item in cast("list[list[int]]", asked))
    raise InvalidParameter("prompt must be a text, a list of texts, or lists of token ids", param="prompt")


def _ids(ids: Sequence[int]) -> tuple[int, ...]:
    if not ids or min(ids) < 0:
        raise InvalidParameter("a prompt of token ids needs at least one, and none below 0", param="prompt")
    return tuple(ids)


def _check_limits(wire: _Request, prompts: int) -> None:
    if wire.n is not None and wire.n < 1:
        raise InvalidParameter(f"n must be between 1 and {MAX_ANSWERS}", param="n")
    if prompts * (wire.n or 1) > MAX_ANSWERS:
        raise InvalidParameter(
            f"prompts times n must not be above {MAX_ANSWERS}", param="prompt" if prompts > MAX_ANSWERS else "n"
        )
    if wire.logprobs is not None and not 0 <= wire.logprobs <= MAX_LOGPROBS:
        raise InvalidParameter(f"logprobs must be between 0 and {MAX_LOGPROBS}", param="logprobs")
    if wire.best_of is not None and not (wire.n or 1) <= wire.best_of <= MAX_ANSWERS:
        raise InvalidParameter(f"best_of must be between n and {MAX_ANSWERS}", param="best_of")


def _sampling(wire: _Request, options: _Options) -> Sampling:
    """OpenAI's own fields, and where they say nothing Ollama's."""
    limit = options.num_predict if options.num_predict is not None and options.num_predict >= 0 else None
    stop = options.stop if wire.stop is None else wire.stop
    return Sampling(
        max_tokens=limit if wire.max_tokens is None else wire.max_tokens,
        temperature=options.temperature if wire.temperature is None else wire.temperature,
        top_p=options.top_p if wire.top_p is None else wire.top_p,
        seed=options.seed if wire.seed is None else wire.seed,
        presence_penalty=options.presence_penalty if wire.presence_penalty is None else wire.presence_penalty,
        frequency_penalty=options.frequency_penalty if wire.frequency_penalty is None else wire.frequency_penalty,
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
    )


def _unsupported(fields: Mapping[str, Raw], wire: _Request) -> tuple[str, ...]:
    """What only a backend of this dialect can do: unknown fields, and choosing the best of several answers."""
    best = ("best_of",) if (wire.best_of or 1) > (wire.n or 1) else ()
    return (*(key for key, raw in fields.items() if key not in _KNOWN and given(raw)), *best)


def _text(raw: Raw, key: str) -> str | None:
    try:
        found = _TEXTS.decode(raw).get(key) if given(raw) else None
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, str) and found else None


def _name(raw: Raw) -> str | None:
    value: object = decode_typed(_ANY, raw) if given(raw) else None
    return value if isinstance(value, str) and value else None

"""What is done with the models of an Ollama server: asking for it, and reading how it goes."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from router.canonical.library import ModelCard, ModelParameter, PullStep
from router.dialects.failures import UNREADABLE, read_in_band
from router.dialects.ndjson import Cutter
from router.errors import BackendFailed, RouterError, StreamBroken, StreamCut, UnknownModel

SUCCESS = "success"
MAX_STATUS = MAX_DIGEST = 200
"""Characters: a longer status is cut, a longer digest is none."""
_NOWHERE = re.compile(r"manifest.*(file does not exist|not found)|no such model", re.IGNORECASE)
_CHAT = {"completion": "chat"}
_LISTS = frozenset({"stop"})
"""Parameters that a Modelfile may say more than once."""


class _Line(Struct):
    status: str = ""
    digest: Annotated[str, Meta(max_length=MAX_DIGEST)] = ""
    total: int | None = None
    completed: int | None = None
    error: object = None


class _Details(Struct):
    family: str | None = None
    format: str | None = None
    parameter_size: str | None = None
    quantization_level: str | None = None


class _Shown(Struct):
    details: _Details | None = None
    capabilities: list[str] | None = None
    model_info: dict[str, Raw] | None = None
    template: str | None = None
    system: str | None = None
    license: str | list[str] | None = None
    parameters: str | None = None


_LINE = msgspec.json.Decoder(_Line)
_SHOWN = msgspec.json.Decoder(_Shown)


def render_named(model: str, **more: object) -> bytes:
    """The body of a request that is about one model."""
    return msgspec.json.encode({"model": model, **more})


class PullDecoder:
    """Reads the lines of `/api/pull`; `ended` once the model is there, `failure` is what the server said went wrong."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._cutter = Cutter()
        self.ended = False
        self.failure: RouterError | None = None

    def feed(self, data: bytes) -> Sequence[PullStep]:
        """The steps that `data` completes; raises StreamBroken for what is no line of a pull."""
        return list(self._steps(self._cutter.feed(data)))

    def finish(self) -> Sequence[PullStep]:
        """Those of the last line; raises StreamCut if the pull has not come to an end."""
        steps = list(self._steps(self._cutter.finish()))
        if not self.ended and self.failure is None:
            raise StreamCut("the connection ended before the pull had")
        return steps

    def _steps(self, lines: Sequence[bytes]) -> list[PullStep]:
        steps: list[PullStep] = []
        for line in lines:
            try:
                told = _LINE.decode(line)
            except UNREADABLE:
                raise StreamBroken("a line of the pull cannot be read") from None
            if told.error is not None:
                self.failure = _failure(read_in_band(told.error), self._model)
                break
            self.ended = self.ended or told.status == SUCCESS
            steps.append(PullStep(told.status[:MAX_STATUS], told.digest, told.total or 0, told.completed or 0))
        return steps


def _failure(words: str, model: str) -> RouterError:
    """Ollama's words; there is no code that would tell a name that no registry knows."""
    if _NOWHERE.search(words):
        return UnknownModel(f"no registry has the model '{model[:200]}': {words}", param="model")
    return BackendFailed(words)


def decode_card(body: bytes) -> ModelCard:
    """What `/api/show` says; raises BackendFailed for what is no answer to it."""
    try:
        shown = _SHOWN.decode(body)
    except UNREADABLE:
        raise BackendFailed("what was said of the model cannot be read") from None
    details, said = shown.details or _Details(), shown.license
    info = shown.model_info or {}
    return ModelCard(
        family=details.family or "",
        format=details.format or "",
        parameter_size=details.parameter_size or "",
        quantization=details.quantization_level or "",
        capabilities=None
        if shown.capabilities is None
        else frozenset(_CHAT.get(each, each) for each in shown.capabilities),
        context_length=_number(info, ".context_length"),
        embedding_length=_number(info, ".embedding_length"),
        template=shown.template or "",
        system=shown.system or "",
        license="\n\n".join(said) if isinstance(said, list) else said or "",
        parameters=_parameters(shown.parameters or ""),
    )


def _number(info: Mapping[str, Raw], ending: str) -> int | None:
    for key, raw in info.items():
        if key.endswith(ending):
            value: Any = msgspec.json.decode(raw)
            return value if isinstance(value, int) and value > 0 else None
    return None


def _parameters(text: str) -> dict[str, ModelParameter]:
    """One a line, `key` and a value as Go writes it; those that are said more than once are lists."""
    found: dict[str, list[str | int | float | bool]] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key and value.strip():
            found.setdefault(key, []).append(_value(value.strip()))
    return {key: values if key in _LISTS or len(values) > 1 else values[0] for key, values in sorted(found.items())}


def _value(written: str) -> str | int | float | bool:
    try:
        value: object = json.loads(written)
    except ValueError:
        return written
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, (str, int, float)) else written

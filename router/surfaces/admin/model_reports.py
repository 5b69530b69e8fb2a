"""What `/api/pulls` and `/api/backends/{id}/models` tell of models and of pulls."""

import asyncio

from msgspec import Struct

from router.canonical.library import ModelCard, ModelParameter
from router.canonical.models import ModelInfo
from router.pulls.state import Pull


class LayerReport(Struct):
    """A part of a model; sizes are bytes."""

    digest: str
    total: int
    completed: int


class FailureReport(Struct):
    """Why a pull came to nothing; `status` is the HTTP status that stands for it."""

    message: str
    code: str
    status: int


class PullReport(Struct):
    """A model on its way; `state` is running, done, failed or cancelled, `status` what the server said last.

    `total` and `completed` are the bytes of the layers that are known so far, `speed` is bytes a second, times are
    seconds since 1970. `tries` is how often the server was asked.
    """

    id: str
    backend: str
    model: str
    state: str
    status: str
    total: int
    completed: int
    speed: float | None
    layers: list[LayerReport]
    started_at: float
    ended_at: float | None
    tries: int
    error: FailureReport | None


class ProgressReport(Struct):
    """One word of a pull, as a `progress` event tells it; without `digest` it is about no layer."""

    id: str
    status: str
    digest: str | None
    total: int | None
    completed: int | None
    speed: float | None


class ModelCardReport(Struct):
    """A model in all its details; None is not known.

    `context` is what a request may use, `trained_context` what the model itself can hold, in tokens; `size` is bytes,
    `modified` seconds since 1970. `parameters` are those of the Modelfile, `stop` always a list.
    """

    name: str
    backend: str
    size: int | None
    modified: int | None
    family: str | None
    format: str | None
    parameter_size: str | None
    quantization: str | None
    capabilities: list[str] | None
    context: int | None
    trained_context: int | None
    embedding_length: int | None
    loaded: bool | None
    template: str | None
    system: str | None
    license: str | None
    parameters: dict[str, ModelParameter]


class LoadedReport(Struct):
    """A model in memory: `size` is its bytes on disk, `memory` those that it takes up, `vram` the ones of these on
    GPUs, `expires_s` for how many seconds more it stays if nobody asks for it (centuries: for ever; None: not told).
    """

    name: str
    size: int | None
    memory: int | None
    vram: int | None
    context: int | None
    expires_s: float | None


class RemovedModelReport(Struct):
    """It is there no longer."""

    backend: str
    model: str


class KeptReport(Struct):
    """Whether a model is loaded now, as far as the backend tells."""

    backend: str
    model: str
    loaded: bool | None


def pull_report(pull: Pull) -> PullReport:
    error = pull.error
    return PullReport(
        id=pull.id,
        backend=pull.backend,
        model=pull.model,
        state=pull.state.value,
        status=pull.status,
        total=pull.total,
        completed=pull.completed,
        speed=speed_of(pull),
        layers=[LayerReport(layer.digest, layer.total, layer.completed) for layer in pull.layers.values()],
        started_at=pull.started_at,
        ended_at=pull.ended_at,
        tries=pull.tries,
        error=None if error is None else FailureReport(error.message, error.code, error.status),
    )


def speed_of(pull: Pull) -> float | None:
    if not pull.is_running:
        return None
    speed = pull.pace.speed(asyncio.get_running_loop().time())
    return None if speed is None else round(speed, 1)


def card_report(backend: str, info: ModelInfo, card: ModelCard, *, loaded: bool | None) -> ModelCardReport:
    """What is known of a model from the list of its backend and from what that says of it alone."""
    capabilities = info.capabilities if card.capabilities is None else card.capabilities
    return ModelCardReport(
        name=info.name,
        backend=backend,
        size=info.size,
        modified=info.created or None,
        family=card.family or info.family or None,
        format=card.format or None,
        parameter_size=card.parameter_size or info.parameters or None,
        quantization=card.quantization or info.quantization or None,
        capabilities=None if capabilities is None else sorted(capabilities),
        context=info.context_length,
        trained_context=card.context_length or info.trained_length,
        embedding_length=card.embedding_length,
        loaded=loaded,
        template=card.template or None,
        system=card.system or None,
        license=card.license or None,
        parameters=dict(card.parameters),
    )

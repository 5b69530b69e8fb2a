"""What servers that keep models tell of them: how a pull goes, and what a model is."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from router.errors import UnknownModel

ModelParameter = str | int | float | bool | list[str | int | float | bool]


class PullStep(Struct, frozen=True, gc=False):
    """A word of progress; with a `digest` it is about that layer, of whose `total` bytes so many are there."""

    status: str
    digest: str = ""
    total: int = 0
    completed: int = 0


class Pulling(Protocol):
    """A pull, while it is open; leaving its context ends it, and the server keeps what it has of the layers."""

    async def steps(self) -> Sequence[PullStep]:
        """What was told since the last call, waiting for something; nothing once the model is there.

        Raises RouterError, UnknownModel where no registry has the model.
        """
        ...


class ModelCard(Struct, frozen=True, kw_only=True):
    """What a server says of a model beyond its list; `parameters` are those of its Modelfile.

    `context_length` is what the model itself can hold, in tokens. None and empty is not told.
    """

    family: str = ""
    format: str = ""
    parameter_size: str = ""
    quantization: str = ""
    capabilities: frozenset[str] | None = None
    context_length: int | None = None
    embedding_length: int | None = None
    template: str = ""
    system: str = ""
    license: str = ""
    parameters: Mapping[str, ModelParameter] = {}


def no_such_model(backend: str, model: str, *, known: Sequence[str] = ()) -> UnknownModel:
    """What to say of a name that leads to no model there; `known` are those that do."""
    others = f" but {', '.join(known)}" if known else ""
    return UnknownModel(f"{backend} has no model '{model[:200]}'{others}", param="model")

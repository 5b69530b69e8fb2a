"""What is known of a backend's models."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from msgspec import Struct

_CLOUD = ("-cloud", ":cloud")


class ModelInfo(Struct, frozen=True, kw_only=True):
    """One model of one backend.

    `capabilities` holds chat, tools, vision, embedding, thinking, insert, or is None when the backend does not say;
    `untold` are those that it never says, and so may or may not have.
    `context_length` is what one request may use, in tokens, or at most may use while the model is not loaded;
    `trained_length` is what the model itself can hold, however it is loaded; `size` is bytes; `created` is seconds
    since 1970. `loaded` is None when the backend does not say; `loaded_s` is for how many seconds more, if nobody asks
    for it, `memory` how many bytes it takes up and `vram` those of them that are on GPUs. `digest` is another when the
    model is another under its old name. `family`, `parameters` and `quantization` are the backend's own words, such as
    llama, 8.0B and Q4_K_M. A `hosted` model is passed on by its backend to a service elsewhere.
    """

    name: str
    capabilities: frozenset[str] | None = None
    untold: frozenset[str] = frozenset()
    context_length: int | None = None
    trained_length: int | None = None
    size: int | None = None
    loaded: bool | None = None
    loaded_s: float | None = None
    memory: int | None = None
    vram: int | None = None
    digest: str = ""
    hosted: bool = False
    created: int = 0
    owned_by: str = ""
    family: str = ""
    parameters: str = ""
    quantization: str = ""

    def lacks(self, capability: str) -> bool:
        """Whether the model is known not to have the capability."""
        return self.capabilities is not None and capability not in self.capabilities and capability not in self.untold

    def can(self, capability: str) -> bool:
        """Whether the model is known to have the capability."""
        return self.capabilities is not None and capability in self.capabilities


class Probe(Struct, frozen=True, kw_only=True):
    """What one look at a backend that answers found; see `Glance` for the slots."""

    version: str | None = None
    models: tuple[ModelInfo, ...] = ()
    slots: int | None = None
    idle_slots: int | None = None


class Glance(Struct, frozen=True, kw_only=True):
    """What changes with every request; None is not known.

    `loaded` is every loaded model, with how many seconds more it stays so if nobody asks for it. `slots` is how many
    requests the backend runs at once, `idle_slots` how many of them are free.
    """

    loaded: Mapping[str, float | None] | None = None
    slots: int | None = None
    idle_slots: int | None = None


def canonical_name(name: str) -> str:
    """The name under which two spellings of one model are equal: `m` and `m:latest` are."""
    return name.removesuffix(":latest").lower()


def is_passed_on(name: str) -> bool:
    """Whether a name is one that Ollama sends to its own service, also while the model is not in its list."""
    return canonical_name(name).endswith(_CLOUD)


def is_among(names: Iterable[str], patterns: Iterable[str]) -> bool:
    """Whether one of the names of a model is among others, which may have a `*`; `m` is the same as `m:latest`."""
    wanted = [canonical_name(pattern) for pattern in patterns]
    return any(fnmatchcase(canonical_name(name), pattern) for name in names for pattern in wanted)

"""What is known of a backend's models."""

from msgspec import Struct


class ModelInfo(Struct, frozen=True, kw_only=True):
    """One model of one backend.

    `capabilities` holds chat, tools, vision, embedding, thinking, insert, or is None when the backend does not say;
    `context_length` is what one request may use, in tokens, or at most may use while the model is not loaded;
    `trained_length` is what the model itself can hold, however it is loaded; `size` is bytes; `created` is seconds
    since 1970.
    """

    name: str
    capabilities: frozenset[str] | None = None
    context_length: int | None = None
    trained_length: int | None = None
    size: int | None = None
    loaded: bool | None = None
    created: int = 0
    owned_by: str = ""

    def can(self, capability: str) -> bool:
        """Whether the model is known to have the capability."""
        return self.capabilities is not None and capability in self.capabilities


class Probe(Struct, frozen=True, kw_only=True):
    """What one look at a backend that answers found; `slots` is how many requests it takes at once, if it says so."""

    version: str | None = None
    models: tuple[ModelInfo, ...] = ()
    slots: int | None = None


def canonical_name(name: str) -> str:
    """The name under which two spellings of one model are equal: `m` and `m:latest` are."""
    return name.removesuffix(":latest").lower()

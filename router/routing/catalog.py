"""What the settings say may be asked for: an immutable snapshot, swapped whole on reload."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from router.canonical.caller import Priority
from router.canonical.models import canonical_name
from router.canonical.request import Profile


class Target(Struct, frozen=True, gc=False):
    """A model on a backend."""

    backend: str
    model: str

    def __str__(self) -> str:
        return f"{self.backend}/{self.model}"


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for clients: its targets in order, and what it adds to a request.

    `scored` targets are equals, of which the best is taken; `local_only` ones on hosted backends are never taken.
    """

    name: str
    targets: tuple[Target, ...]
    tags: frozenset[str] = frozenset()
    profile: Profile = field(default_factory=Profile)
    priority: Priority | None = None
    scored: bool = False
    local_only: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What the settings say of a backend; `max_parallel` None is what it says itself. `hosted` is not one's own."""

    weight: float = 1.0
    max_parallel: int | None = None
    hosted: bool = False


_PLAIN = Terms()


@dataclass(frozen=True, slots=True)
class Catalog:
    """Backends by name (in the order of the file), aliases by name, tasks, and the default."""

    backends: tuple[str, ...] = ()
    aliases: Mapping[str, Alias] = field(default_factory=dict[str, Alias])
    tasks: Mapping[str, str] = field(default_factory=dict[str, str])
    default_model: str | None = None
    terms: Mapping[str, Terms] = field(default_factory=dict[str, Terms])

    def alias(self, name: str) -> Alias | None:
        """An alias by its name, `name:latest` being the same as `name`."""
        return self.aliases.get(name) or self.aliases.get(name.removesuffix(":latest"))

    def target(self, name: str) -> Target | None:
        """A `backend/model` name, if it begins with a known backend."""
        backend, slash, model = name.partition("/")
        return Target(backend, model) if slash and model and backend in self.backends else None

    def tagged(self, tag: str) -> tuple[Alias, ...]:
        """The aliases that carry a tag, in the order of the file."""
        return tuple(alias for alias in self.aliases.values() if tag in alias.tags)

    def terms_of(self, backend: str) -> Terms:
        return self.terms.get(backend, _PLAIN)


def same_model(left: str, right: str) -> bool:
    """Whether two spellings name one model."""
    return canonical_name(left) == canonical_name(right)

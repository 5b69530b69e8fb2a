"""What the settings say may be asked for: an immutable snapshot, swapped whole on reload."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from router.canonical.caller import Priority
from router.canonical.models import canonical_name
from router.canonical.private import private_name
from router.canonical.request import Profile

OnMissing = Literal["error", "default", "pull"]


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
    """What the settings say of a backend; `max_parallel` None is what it says itself. `hosted` is not
    one's own, `kind` the adapter's.
    """

    weight: float = 1.0
    max_parallel: int | None = None
    hosted: bool = False
    kind: str = ""


_PLAIN = Terms()


@dataclass(frozen=True, slots=True)
class Catalog:
    """Backends by name (in the order of the file), aliases by name, tasks, the default, and what becomes of a request
    for a model that nobody has.

    `owners` are the ids of users by the private backends that they alone may see and use; no alias leads there.
    `selected` are models that people selected, by their backends.
    """

    backends: tuple[str, ...] = ()
    aliases: Mapping[str, Alias] = field(default_factory=dict[str, Alias])
    tasks: Mapping[str, str] = field(default_factory=dict[str, str])
    default_model: str | None = None
    on_missing: OnMissing = "default"
    terms: Mapping[str, Terms] = field(default_factory=dict[str, Terms])
    owners: Mapping[str, str] = field(default_factory=dict[str, str])
    selected: Mapping[str, str] = field(default_factory=dict[str, str])

    def alias(self, name: str) -> Alias | None:
        """An alias by its name, `name:latest` being the same as `name`."""
        return self.aliases.get(name) or self.aliases.get(name.removesuffix(":latest"))

    def backends_of(self, user_id: str) -> tuple[str, ...]:
        """Those that a user may see: everybody's and private ones of the user's own."""
        if not self.owners:
            return self.backends
        return tuple(name for name in self.backends if self.owners.get(name, user_id) == user_id)

    def may_see(self, backend: str, user_id: str) -> bool:
        return self.owners.get(backend, user_id) == user_id

    def target(self, name: str, user_id: str = "") -> Target | None:
        """A `backend/model` name, if it begins with a backend that the user may see; a private one comes first."""
        backend, slash, model = name.partition("/")
        if not (slash and model):
            return None
        own = private_name(backend, user_id)
        if user_id and own in self.owners:
            return Target(own, model)
        return Target(backend, model) if backend in self.backends and self.may_see(backend, user_id) else None

    def tagged(self, tag: str) -> tuple[Alias, ...]:
        """The aliases that carry a tag, in the order of the file."""
        return tuple(alias for alias in self.aliases.values() if tag in alias.tags)

    def terms_of(self, backend: str) -> Terms:
        return self.terms.get(backend, _PLAIN)


def same_model(left: str, right: str) -> bool:
    """Whether two spellings name one model."""
    return canonical_name(left) == canonical_name(right)

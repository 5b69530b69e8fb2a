"""Who is calling, and what that caller may do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

from router.canonical.models import canonical_name
from router.errors import ModelNotAllowed, ScopeMissing


class Scope(Enum):
    """One thing that a key may be good for."""

    CHAT = "chat"
    EMBED = "embed"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How much a key may use; None is without limit. A minute slides, a day is one of UTC."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None


UNLIMITED = Allowance()


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller; `key_id` tells keys apart without giving one away, and is empty where no key was asked.

    `models` holds names or patterns with `*`; None allows every model. `priority` is empty when the key has none of its
    own.
    """

    key_id: str = ""
    user_id: str = ""
    scopes: frozenset[Scope] = frozenset()
    models: tuple[str, ...] | None = None
    priority: str = ""
    allowance: Allowance = UNLIMITED

    def require(self, scope: Scope) -> None:
        """Raises ScopeMissing unless the caller has the scope."""
        if scope not in self.scopes:
            raise ScopeMissing(f"this needs a key with the scope {scope.value}")

    def may_use(self, names: Iterable[str]) -> bool:
        """Whether one of the names of a model is allowed, `m` being the same as `m:latest`."""
        if self.models is None:
            return True
        patterns = [canonical_name(pattern) for pattern in self.models]
        return any(fnmatchcase(canonical_name(name), pattern) for name in names for pattern in patterns)

    def require_model(self, *names: str) -> None:
        """Raises ModelNotAllowed unless one of the names that lead to a model is allowed."""
        if not self.may_use(names):
            raise ModelNotAllowed("this key may not use that model", param="model")

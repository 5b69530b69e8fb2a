"""Who is calling, and what that caller may do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from router.canonical.caller import Preferences, Priority
from router.canonical.models import is_among
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

    `models` holds names or patterns with `*`; None allows every model. `name` is the user's, `key_name` the key's.
    """

    key_id: str = ""
    user_id: str = ""
    name: str = ""
    key_name: str = ""
    scopes: frozenset[Scope] = frozenset()
    models: tuple[str, ...] | None = None
    priority: Priority | None = None
    local_only: bool = False
    preferences: Preferences | None = None
    allowance: Allowance = UNLIMITED

    @property
    def user(self) -> str:
        """Whose share of the queue it takes, and how others see it there."""
        return self.name or self.key_id

    def require(self, scope: Scope) -> None:
        """Raises ScopeMissing unless the caller has the scope."""
        if scope not in self.scopes:
            raise ScopeMissing(f"this needs a key with the scope {scope.value}")

    def may_use(self, names: Iterable[str]) -> bool:
        """Whether one of the names of a model is allowed, `m` being the same as `m:latest`."""
        return self.models is None or is_among(names, self.models)

    def require_model(self, *names: str) -> None:
        """Raises ModelNotAllowed unless one of the names that lead to a model is allowed."""
        if not self.may_use(names):
            raise ModelNotAllowed("this key may not use that model", param="model")


OPEN_SCOPES = frozenset({Scope.CHAT, Scope.EMBED})
ANYBODY = Principal(scopes=OPEN_SCOPES)
"""Whoever calls where no key is asked."""
GUEST = Principal(scopes=OPEN_SCOPES)
"""Whoever calls without a key from a network that may, where others need one."""

"""What goes into the database and comes out of it: plain values, without any of its libraries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from router.access.networks import AllowedNetwork
from router.access.principal import UNLIMITED, Allowance, Scope


@dataclass(frozen=True, slots=True)
class User:
    """A person or a program with keys; keys of one who is not enabled are not valid."""

    id: str
    name: str
    enabled: bool
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTerms:
    """What a key is good for; times are seconds since 1970."""

    name: str
    scopes: frozenset[Scope] = frozenset({Scope.CHAT, Scope.EMBED})
    models: tuple[str, ...] | None = None
    priority: str = ""
    allowance: Allowance = UNLIMITED
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as a list shows it: never the key."""

    id: str
    user_id: str
    prefix: str
    terms: KeyTerms
    created_at: float
    revoked_at: float | None


@dataclass(frozen=True, slots=True)
class AllowlistEntry:
    id: str
    allowed: AllowedNetwork
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendDefinition:
    """What a person says about a backend. `options` is the rest of its settings, as the file would have them."""

    name: str
    kind: str
    url: str
    enabled: bool = True
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    options: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBackend:
    """A backend as it is stored; without an owner it is everybody's."""

    id: str
    owner_id: str | None
    definition: BackendDefinition
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenModel:
    """A model of a backend; `size` is bytes, `last_seen` seconds since 1970."""

    name: str
    size: int | None = None
    details: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    last_seen: float
    selected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageAsked:
    """Which usage, added up by what; days are days of UTC since 1970, the last one included."""

    by: Literal["day", "user", "model", "backend"]
    since_day: int
    until_day: int
    user_id: str | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """What some requests came to. `errors` leaves out clients who left; `estimated_tokens` is the share of all tokens
    that nobody counted exactly. Half of the streams began within `first_token_p50_s`, 95 of 100 within the other.
    """

    name: str
    requests: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    estimated_tokens: int
    first_token_p50_s: float | None
    first_token_p95_s: float | None
    tokens_per_s_p50: float | None

"""The keys that may call, in memory: nothing is read from a database when a request comes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from router.access.keys import MAX_PRESENTED_CHARS, digest
from router.access.principal import Principal
from router.errors import KeyExpired, KeysUnavailable, Unauthorized

RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One key; `expires_at` is in seconds since 1970, None for a key that stays."""

    digest: bytes
    principal: Principal
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All keys at one moment. `pepper` is what they were hashed with."""

    pepper: bytes
    keys: Mapping[bytes, KnownKey]

    @classmethod
    def of(cls, keys: Iterable[KnownKey], *, pepper: bytes) -> "Snapshot":
        return cls(pepper, {key.digest: key for key in keys})


class KeyDirectory:
    """Says who a key belongs to. A new snapshot counts from the next request on."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self._snapshot = snapshot

    def replace(self, snapshot: Snapshot) -> None:
        """Takes over what was read from the database."""
        self._snapshot = snapshot

    def principal(self, presented: str | None, *, now: float) -> Principal:
        """The caller that presents a key; `now` is seconds since 1970.

        Raises Unauthorized, KeyExpired, or KeysUnavailable as long as no keys could be read.
        """
        if not presented:
            raise Unauthorized("no API key was sent: send it as 'Authorization: Bearer KEY'")
        snapshot = self._snapshot
        if snapshot is None:
            raise KeysUnavailable("the keys cannot be read at the moment", retry_after=RETRY_AFTER_S)
        known = None
        if len(presented) <= MAX_PRESENTED_CHARS:
            known = snapshot.keys.get(digest(presented, snapshot.pepper))
        if known is None:
            raise Unauthorized("the API key is not valid here")
        if known.expires_at is not None and now >= known.expires_at:
            raise KeyExpired("the API key has expired")
        return known.principal

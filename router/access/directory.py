"""The keys that may call, in memory: nothing is read from a database when a request comes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from router.access.keys import MAX_PRESENTED_CHARS, digest
from router.access.principal import Principal
from router.errors import KeyExpired, KeysUnavailable, Unauthorized

RETRY_AFTER_S = 1.0
UNREAD = "the keys cannot be read at the moment"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One key; `expires_at` is in seconds since 1970, None for a key that stays."""

    digest: bytes
    principal: Principal
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All keys at one moment. `pepper` is what they were hashed with; `asks` is whether there ever was a key for more
    than administering, so that those without one are told from those with."""

    pepper: bytes
    keys: Mapping[bytes, KnownKey]
    asks: bool = True

    @classmethod
    def of(cls, keys: Iterable[KnownKey], *, pepper: bytes, asks: bool = True) -> "Snapshot":
        return cls(pepper, {key.digest: key for key in keys}, asks)


class KeyDirectory:
    """Says who a key belongs to. A new snapshot counts from the next request on."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self._snapshot = snapshot
        self._presumed_empty = False

    def replace(self, snapshot: Snapshot) -> None:
        """Takes over what was read from the database."""
        self._snapshot = snapshot

    def presume_empty(self) -> None:
        """Until keys were read there are none: somebody has had a look at the file."""
        self._presumed_empty = True

    @property
    def asks(self) -> bool:
        """Whether a key is asked; as long as nobody knows, it is."""
        return not self._presumed_empty if self._snapshot is None else self._snapshot.asks

    def require_read(self) -> None:
        """Raises KeysUnavailable as long as it is not known whether a key is asked."""
        if self._snapshot is None and not self._presumed_empty:
            raise KeysUnavailable(UNREAD, retry_after=RETRY_AFTER_S)

    def principal(self, presented: str | None, *, now: float) -> Principal:
        """The caller that presents a key; `now` is seconds since 1970.

        Raises Unauthorized, KeyExpired, or KeysUnavailable as long as no keys could be read.
        """
        if not presented:
            raise Unauthorized("no API key was sent: send it as 'Authorization: Bearer KEY'")
        if self._snapshot is None:
            raise KeysUnavailable(UNREAD, retry_after=RETRY_AFTER_S)
        if (known := self.find(presented, now=now)) is None:
            raise Unauthorized("the API key is not valid here")
        return known

    def find(self, presented: str, *, now: float) -> Principal | None:
        """The same without a complaint about a key that is not known; raises KeyExpired."""
        snapshot = self._snapshot
        if snapshot is None or not snapshot.keys or len(presented) > MAX_PRESENTED_CHARS:
            return None
        known = snapshot.keys.get(digest(presented, snapshot.pepper))
        if known is not None and known.expires_at is not None and now >= known.expires_at:
            raise KeyExpired("the API key has expired")
        return None if known is None else known.principal

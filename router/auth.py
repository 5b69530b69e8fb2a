"""API keys from the settings to callers."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from router.canonical.caller import Priority
from router.errors import Unauthorized
from router.settings.serving import KeySettings


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling; `key_id` tells keys apart without giving one away, and is empty when no key is asked."""

    key_id: str = ""
    name: str = ""
    priority: Priority | None = None
    local_only: bool = False

    @property
    def user(self) -> str:
        """Whose share of the queue it takes, and how others see it there."""
        return self.name or self.key_id


ANYBODY = Principal()


class Keys:
    """The keys that may call. Without any, everybody may. Only digests are kept."""

    def __init__(self, keys: Sequence[KeySettings]) -> None:
        self.replace(keys)

    def replace(self, keys: Sequence[KeySettings]) -> None:
        """These and no others may call from now on."""
        self._known = tuple(_known(key) for key in keys)

    def principal(self, presented: str | None) -> Principal:
        """The caller that presents a key; raises Unauthorized. Takes the same time whichever key it is."""
        if not self._known:
            return ANYBODY
        if not presented:
            raise Unauthorized("no API key was sent: send it as 'Authorization: Bearer KEY'")
        digest = sha256(presented.encode("utf-8", "surrogatepass")).digest()
        matches = [principal for known, principal in self._known if hmac.compare_digest(digest, known)]
        if not matches:
            raise Unauthorized("the API key is not valid here")
        return matches[0]


def _known(key: KeySettings) -> tuple[bytes, Principal]:
    digest = sha256(key.key.get_secret_value().encode()).digest()
    priority = None if key.priority is None else Priority[key.priority.upper()]
    return digest, Principal(digest.hex()[:8], key.name, priority, key.local_only)


def presented_key(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The key in raw ASGI headers: `Authorization: Bearer KEY`, or `x-api-key`, or `api-key`."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, key = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                return key.strip()
        elif name in {b"x-api-key", b"api-key"}:
            return value.decode("latin-1").strip()
    return None

"""API keys from the settings to callers."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from router.errors import Unauthorized


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling; `key_id` tells keys apart without giving one away, and is empty when no key is asked."""

    key_id: str = ""


ANYBODY = Principal()


class Keys:
    """The keys that may call. Without any, everybody may. Only digests are kept."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = tuple(sha256(key.encode()).digest() for key in keys)

    def principal(self, presented: str | None) -> Principal:
        """The caller that presents a key; raises Unauthorized. Takes the same time whichever key it is."""
        if not self._digests:
            return ANYBODY
        if not presented:
            raise Unauthorized("no API key was sent: send it as 'Authorization: Bearer KEY'")
        digest = sha256(presented.encode("utf-8", "surrogatepass")).digest()
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if not any(matches):
            raise Unauthorized("the API key is not valid here")
        return Principal(digest.hex()[:8])


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

"""API keys: how they look, how they are made, and what is kept of them."""

import hmac
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from secrets import token_hex, token_urlsafe

START = "sk-turnout-"
SECRET_BYTES = 32
SHOWN_CHARS = 5
MAX_PRESENTED_CHARS = 512
"""Anything longer is no key of ours, and is not worth the time of hashing it."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. `secret` is shown once and kept nowhere; `prefix` is what a list may show of it."""

    id: str
    secret: str = field(repr=False)

    @property
    def prefix(self) -> str:
        return self.secret[: len(START) + SHOWN_CHARS]


def make_key() -> NewKey:
    """A key that nobody can guess, with an id that says nothing about it."""
    return NewKey(id=new_id("key"), secret=START + token_urlsafe(SECRET_BYTES))


def new_id(kind: str) -> str:
    """An id for anything that is stored: its kind and 64 random bits."""
    return f"{kind}_{token_hex(8)}"


def digest(secret: str, pepper: bytes) -> bytes:
    """What is kept of a key: HMAC-SHA256, so a stolen table alone does not even tell whether a guess is right."""
    keyed = _keyed(pepper).copy()
    keyed.update(secret.encode("utf-8", "surrogatepass"))
    return keyed.digest()


@lru_cache(maxsize=8)
def _keyed(pepper: bytes) -> hmac.HMAC:
    """Finding the algorithm and taking in the pepper costs ten times a digest: once is enough."""
    return hmac.new(pepper, digestmod=sha256)

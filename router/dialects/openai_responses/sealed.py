"""Signed reasoning as text that a client keeps and sends back: `encrypted_content` of a reasoning item.

It is not a secret to the client, who is shown the reasoning anyway; who signed it checks it when it comes back.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from router.dialects.failures import UNREADABLE

_MARK = "turnout1."
_BLOCKS = msgspec.json.Decoder(list[Raw])


def sealed(blocks: Sequence[Raw]) -> str:
    """The blocks as one text, from which they come back byte for byte."""
    return _MARK + urlsafe_b64encode(msgspec.json.encode(list(blocks))).decode()


def unsealed(text: str | None) -> tuple[Raw, ...]:
    """What was sealed; nothing of a text that another server made."""
    if not text or not text.startswith(_MARK):
        return ()
    try:
        return tuple(_BLOCKS.decode(urlsafe_b64decode(text[len(_MARK) :].encode())))
    except (ValueError, *UNREADABLE):
        return ()

"""JSON values that are passed on as they came."""

import msgspec
from msgspec import Raw

ABSENT = Raw()
"""The default of a field that stays undecoded: msgspec would take `Raw | None` for null alone."""

_NULL = Raw(b"null")


def given(raw: Raw) -> Raw | None:
    """The value, or None for a field that is not there or null."""
    return raw if raw and raw != _NULL else None


def check_text(data: bytes) -> None:
    """Raises UnicodeDecodeError: a decoder does not look into what it skips."""
    if not data.isascii():
        data.decode()


def check_object(data: bytes) -> None:
    """Raises ValidationError for JSON that is no object, DecodeError for what is no JSON, also in parts that a decoder
    skips."""
    check_text(data)
    if not isinstance(msgspec.json.decode(data), dict):
        raise msgspec.ValidationError("not an object")

"""JSON values that are passed on as they came."""

from msgspec import Raw

ABSENT = Raw()
"""The default of a field that stays undecoded: msgspec would take `Raw | None` for null alone."""

_NULL = Raw(b"null")


def given(raw: Raw) -> Raw | None:
    """The value, or None for a field that is not there or null."""
    return raw if raw and raw != _NULL else None

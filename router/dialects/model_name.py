"""Changing a field of a backend's JSON and leaving every other byte as it is."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec


class _Counted(msgspec.Struct):
    usage: dict[str, msgspec.Raw] | None = None


_USAGE = msgspec.json.Decoder(_Counted)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Renamer:
    """Gives many JSON texts of one answer the model name `shown`, and leaves every other byte as it is.

    A quote inside a JSON string is always escaped, so the pattern that is searched for is never part of a text.
    """

    __slots__ = ("_model", "_new", "_old", "_patterns", "_shown")

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._model = shown
        self._patterns: tuple[tuple[bytes, bytes], ...] = ()
        self._old = self._new = b""

    def __call__(self, raw: bytes, model: str | None) -> bytes:
        """The same bytes, naming the model `shown` instead of `model`; `raw` is one JSON object after any prefix."""
        if model == self._model and self._old and raw.count(self._old) == 1:
            return raw.replace(self._old, self._new)
        if model is None or model == self._shown:
            return raw
        if model != self._model:
            self._model = model
            self._old = b""
            self._patterns = tuple(zip(_patterns(model), _patterns(self._shown), strict=True))
        for old, new in self._patterns:
            if raw.count(old) == 1:
                self._old, self._new = old, new
                return raw.replace(old, new)
        prefix, brace, _ = raw.partition(b"{")
        return prefix + with_fields(raw[len(prefix) :], {"model": self._shown}) if brace else raw


def _patterns(model: str) -> tuple[bytes, ...]:
    name = msgspec.json.encode(model)
    return (b'"model":' + name, b'"model": ' + name)


def with_model(raw: bytes, model: str | None, shown: str, *, outline: bytes | None = None) -> bytes:
    """One JSON text with another model name; see Renamer. `outline` is the text without parts that hold no quote."""
    if model is None or model == shown:
        return raw
    for old, new in zip(_patterns(model), _patterns(shown), strict=True):
        if (raw if outline is None else outline).count(old) == 1:
            at, view = raw.rfind(old), memoryview(raw)
            return b"".join((view[:at], new, view[at + len(old) :]))
    return Renamer(shown)(raw, model)


def counted(text: bytes, counts: Mapping[str, Any]) -> dict[str, Any]:
    """The `usage` of a JSON object with these counts in it; whatever else it holds stays."""
    try:
        known = _USAGE.decode(text).usage
    except msgspec.ValidationError:
        known = None
    return {**(known or {}), **counts}


def with_fields(text: bytes, changes: Mapping[str, Any]) -> bytes:
    """A JSON object with some top-level fields set, or taken away where the change is None."""
    if not changes:
        return text
    fields = cast("dict[str, Any]", _OBJECT.decode(text))
    for key, value in changes.items():
        if value is None:
            fields.pop(key, None)
        else:
            fields[key] = value
    return msgspec.json.encode(fields)

"""Reading a JSON body of the OpenAI family: fields undecoded, types checked, errors that name the field."""

import re
from typing import TypeVar

import msgspec

from router.errors import InvalidJSON, InvalidParameter

T = TypeVar("T")

MAX_DEPTH = 128

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))


def decode_fields(body: bytes) -> dict[str, msgspec.Raw]:
    """The top-level fields of a JSON object; raises InvalidJSON or, for another value, InvalidParameter."""
    fields = decode_typed(_FIELDS, body)
    if not body.isascii():
        _check_encoding(body)
    if _is_deeper(body, MAX_DEPTH):
        raise InvalidJSON(f"the request body is nested more than {MAX_DEPTH} levels deep")
    return fields


def decode_typed(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T:
    """Decodes a client's body; raises InvalidJSON for bad JSON and InvalidParameter for a wrong type."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_type(error) from None
    except UnicodeDecodeError:
        raise InvalidJSON("the request body is not UTF-8") from None
    except msgspec.DecodeError as error:
        raise InvalidJSON(f"the request body is not valid JSON: {error}") from None
    except RecursionError:
        raise InvalidJSON("the request body is nested too deeply") from None


def _check_encoding(body: bytes) -> None:
    """What is not decoded is not looked at by the decoder either."""
    try:
        body.decode()
    except UnicodeDecodeError:
        raise InvalidJSON("the request body is not UTF-8") from None


def _is_deeper(body: bytes, limit: int) -> bool:
    """Whether valid JSON has more than `limit` levels: strings are cut out, then pairs peeled off level by level."""
    if body.count(b"{") + body.count(b"[") <= limit:
        return False
    outside = b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    brackets = outside.translate(_AS_SQUARE, _NOT_BRACKETS)
    for _ in range(limit):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return True


def _wrong_type(error: msgspec.ValidationError) -> InvalidParameter:
    text = str(error)
    found = _PLACE.search(text)
    path = found["path"] if found else ""
    what = text[: found.start()] if found else text
    if not path:
        return InvalidParameter(f"the request body is not what is expected: {what}")
    return InvalidParameter(f"invalid value for '{path}': {what}", param=path)

"""OpenAI's embeddings, as clients send and as backends speak it."""

from array import array
from base64 import b64decode, b64encode
from collections.abc import Mapping
from sys import byteorder
from typing import Any

import msgspec
from msgspec import Raw, Struct

from router.canonical.adapter import Vectors
from router.canonical.events import UsageReported
from router.canonical.request import EmbedRequest, Wire
from router.dialects.failures import UNREADABLE
from router.dialects.model_name import counted, with_fields, with_model
from router.dialects.openai_body import decode_fields, decode_typed
from router.dialects.skimming import EMPTY, Skimmed, skim
from router.dialects.undecoded import check_text
from router.errors import BackendFailed, InvalidParameter

NAME = "openai_embeddings"

MAX_INPUTS = 8_192


class _Metadata(Struct):
    task: str | None = None


class _Request(Struct):
    model: str | None = None
    input: str | list[str | int | list[int]] | None = None
    encoding_format: str | None = None
    dimensions: int | None = None
    metadata: _Metadata | None = None


class _Item(Struct):
    embedding: Raw
    index: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None

    def reported(self) -> UsageReported:
        """Embeddings are made of a prompt alone, which some servers give as the total only."""
        return UsageReported(self.total_tokens if self.prompt_tokens is None else self.prompt_tokens)


class _Answer(Struct):
    data: list[_Item] | None = None
    model: str | None = None
    usage: _Usage | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)
_NUMBERS = msgspec.json.Decoder(list[float])


def parse_request(body: bytes) -> EmbedRequest:
    """A client's body as a request; raises InvalidJSON, or InvalidParameter naming the field."""
    fields = decode_fields(body)
    wire = decode_typed(_REQUEST, body)
    if not wire.model:
        raise InvalidParameter("you must provide a model parameter", param="model")
    if wire.encoding_format not in {None, "float", "base64"}:
        raise InvalidParameter("encoding_format must be float or base64", param="encoding_format")
    if wire.dimensions is not None and wire.dimensions < 1:
        raise InvalidParameter("dimensions must be at least 1", param="dimensions")
    inputs, tokens = _inputs(wire.input)
    return EmbedRequest(
        model=wire.model,
        inputs=inputs,
        tokens=tokens,
        wire=Wire(NAME, fields),
        base64=wire.encoding_format == "base64",
        dimensions=wire.dimensions,
        task=wire.metadata.task if wire.metadata else None,
    )


def _inputs(given: str | list[str | int | list[int]] | None) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Texts, or lists of token ids."""
    if isinstance(given, str):
        return (given,), ()
    if not given:
        raise InvalidParameter("input is empty: send a text or a list of texts", param="input")
    if len(given) > MAX_INPUTS and not isinstance(given[0], int):
        raise InvalidParameter(f"input has more than {MAX_INPUTS} entries", param="input")
    texts = [item for item in given if isinstance(item, str)]
    if len(texts) == len(given):
        return tuple(texts), ()
    ids = [item for item in given if isinstance(item, int)]
    if len(ids) == len(given):
        return (), (tuple(ids),)
    lists = [tuple(item) for item in given if isinstance(item, list)]
    if len(lists) != len(given) or not all(lists):
        raise InvalidParameter("input must be texts, or token ids, not a mixture", param="input")
    return (), tuple(lists)


def render_request(request: EmbedRequest, model: str, options: Mapping[str, Any]) -> bytes:
    """The body for a backend of this dialect: the client's own fields over the alias options."""
    is_own = request.wire.dialect == NAME
    fields: dict[str, Any] = {**options, **(request.wire.fields if is_own else _spoken(request)), "model": model}
    if is_own and request.rewritten:
        fields["input"] = request.inputs
    return msgspec.json.encode(fields)


def _spoken(request: EmbedRequest) -> dict[str, Any]:
    """A request of another dialect."""
    dimensions = {} if request.dimensions is None else {"dimensions": request.dimensions}
    return {"input": request.inputs, "encoding_format": "float", **dimensions}


def decode(body: bytes, shown: str, *, base64: bool, expected: int) -> Vectors:
    """A backend's answer; `raw` is the body to forward unless it has to be written anew.

    Raises BackendFailed for a body that does not hold `expected` embeddings.
    """
    answer, text = _read(body, expected)
    found = answer.data or []
    if len(found) != expected:
        raise BackendFailed(f"the backend gave {len(found)} embeddings for {expected} inputs")
    items = sorted(found, key=lambda item: item.index or 0)
    as_asked = items == found and all(_is_text(item.embedding) == base64 for item in items)
    return Vectors(
        vectors=tuple(item.embedding for item in items),
        usage=answer.usage.reported() if answer.usage else None,
        raw=with_model(body, answer.model, shown, outline=text) if as_asked else None,
    )


def _read(body: bytes, expected: int) -> tuple[_Answer, bytes]:
    """An answer, and the text that was decoded for it: all of the body, or all but long lists of numbers."""
    if (skimmed := skim(body, expected)) is not None and (answer := _filled(skimmed)) is not None:
        return answer, skimmed.text
    try:
        check_text(body)
        return _ANSWER.decode(body), body
    except UNREADABLE:
        raise BackendFailed("the backend's embeddings cannot be read") from None


def _filled(skimmed: Skimmed) -> _Answer | None:
    """The answer, if it is its embeddings and nothing else that was left out."""
    try:
        answer = _ANSWER.decode(skimmed.text)
    except UNREADABLE:
        return None
    items = answer.data or []
    if len(items) != len(skimmed.lists) or any(item.embedding != EMPTY for item in items):
        return None
    for item, numbers in zip(items, skimmed.lists, strict=True):
        item.embedding = numbers
    return answer


def render(answer: Vectors, *, model: str, base64: bool) -> bytes:
    """The body for a client; raises BackendFailed for vectors that are none."""
    counts = _counts(answer.usage or UsageReported())
    if answer.raw is not None:
        return with_fields(answer.raw, {"usage": counted(answer.raw, counts)}) if "estimated" in counts else answer.raw
    try:
        vectors = [_as_text(vector) if base64 else _as_numbers(vector) for vector in answer.vectors]
    except (*UNREADABLE, ValueError):
        raise BackendFailed("the backend's embeddings cannot be read") from None
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return msgspec.json.encode({"object": "list", "data": data, "model": model, "usage": counts})


def _counts(usage: UsageReported) -> dict[str, Any]:
    counts = {"prompt_tokens": usage.prompt or 0, "total_tokens": usage.prompt or 0}
    return {**counts, "estimated": True} if usage.estimated else counts


def width(vector: Raw) -> int:
    """How many numbers a vector has, in either form; raises BackendFailed for one that is none."""
    try:
        return len(_as_numbers(vector) if _is_text(vector) else _NUMBERS.decode(vector))
    except (*UNREADABLE, ValueError):
        raise BackendFailed("the backend's embeddings cannot be read") from None


def _is_text(vector: Raw) -> bool:
    return memoryview(vector)[0] == ord('"')


def _as_text(vector: Raw) -> Any:
    if _is_text(vector):
        return vector
    floats = array("f", _NUMBERS.decode(vector))
    if byteorder == "big":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode()


def _as_numbers(vector: Raw) -> Any:
    if not _is_text(vector):
        return vector
    floats = array("f")
    floats.frombytes(b64decode(msgspec.json.decode(vector, type=str), validate=True))
    if byteorder == "big":
        floats.byteswap()
    return floats.tolist()

"""llama.cpp's `/v1/rerank`, `/tokenize` and `/detokenize`, as clients send them and as the server speaks them."""

from typing import Any, TypeVar, assert_never

import msgspec
from msgspec import Raw, Struct

from router.canonical.auxiliary import (
    AuxiliaryAnswer,
    AuxiliaryRequest,
    DetokenizeRequest,
    Operation,
    Ranked,
    RerankRequest,
    TokenizeRequest,
)
from router.canonical.events import UsageReported
from router.dialects.failures import UNREADABLE
from router.dialects.openai_answer import Usage, usage_object
from router.dialects.openai_body import decode_fields, decode_typed
from router.errors import BackendFailed, InvalidParameter

T = TypeVar("T")

MAX_DOCUMENTS = 2_048

_PATHS: dict[Operation, str] = {"rerank": "/v1/rerank", "tokenize": "/tokenize", "detokenize": "/detokenize"}


class _Document(Struct):
    """A document as Cohere's clients may write it."""

    text: str


class _Asked(Struct):
    model: str | None = None


class _Rerank(_Asked):
    query: str | None = None
    documents: list[str | _Document] | None = None
    top_n: int | None = None
    return_documents: bool | None = None


class _Tokenize(_Asked):
    content: str | None = None
    add_special: bool | None = None
    parse_special: bool | None = None
    with_pieces: bool | None = None


class _Detokenize(_Asked):
    tokens: list[int] | None = None


class _Result(Struct):
    index: int
    relevance_score: float


class _Order(Struct):
    results: list[_Result]
    usage: Usage | None = None


class _Tokens(Struct):
    tokens: Raw


class _Text(Struct):
    content: str


_RERANK, _TOKENIZE = msgspec.json.Decoder(_Rerank), msgspec.json.Decoder(_Tokenize)
_DETOKENIZE = msgspec.json.Decoder(_Detokenize)
_ORDER, _TOKENS, _TEXT = msgspec.json.Decoder(_Order), msgspec.json.Decoder(_Tokens), msgspec.json.Decoder(_Text)


def parse_request(operation: Operation, body: bytes) -> AuxiliaryRequest:
    """A client's body as a request; raises InvalidJSON, or InvalidParameter naming the field."""
    decode_fields(body)
    match operation:
        case "rerank":
            wire = decode_typed(_RERANK, body)
            asked = _rerank(wire)
        case "tokenize":
            wire = decode_typed(_TOKENIZE, body)
            asked = _tokenize(wire)
        case "detokenize":
            wire = decode_typed(_DETOKENIZE, body)
            asked = DetokenizeRequest(tokens=tuple(_given(wire.tokens, "tokens")))
        case _:
            assert_never(operation)
    return AuxiliaryRequest(operation=operation, model=_given(wire.model or None, "model"), asked=asked)


def _rerank(wire: _Rerank) -> RerankRequest:
    documents = _given(wire.documents, "documents")
    if not 0 < len(documents) <= MAX_DOCUMENTS:
        raise InvalidParameter(f"documents must have between 1 and {MAX_DOCUMENTS} entries", param="documents")
    if wire.top_n is not None and wire.top_n < 1:
        raise InvalidParameter("top_n must be at least 1", param="top_n")
    return RerankRequest(
        query=_given(wire.query, "query"),
        documents=tuple(document if isinstance(document, str) else document.text for document in documents),
        top_n=wire.top_n,
        return_documents=bool(wire.return_documents),
    )


def _tokenize(wire: _Tokenize) -> TokenizeRequest:
    return TokenizeRequest(
        content=_given(wire.content, "content"),
        add_special=bool(wire.add_special),
        parse_special=wire.parse_special is not False,
        with_pieces=bool(wire.with_pieces),
    )


def render(request: AuxiliaryRequest, model: str) -> tuple[str, bytes]:
    """Where a request goes, and its body."""
    asked = request.asked
    body: dict[str, Any] = {"model": model}
    if isinstance(asked, RerankRequest):
        body |= {"query": asked.query, "documents": asked.documents}
        if asked.top_n is not None:
            body["top_n"] = asked.top_n
    else:
        body |= msgspec.to_builtins(asked)
    return _PATHS[request.operation], msgspec.json.encode(body)


def decode(request: AuxiliaryRequest, body: bytes) -> AuxiliaryAnswer:
    """The server's answer; raises BackendFailed for one that does not fit the request."""
    try:
        match request.asked:
            case RerankRequest(documents=documents):
                order = _ORDER.decode(body)
                if any(not 0 <= result.index < len(documents) for result in order.results):
                    raise BackendFailed("the backend ordered documents that were not asked for")
                ranked = tuple(Ranked(result.index, result.relevance_score) for result in order.results)
                return AuxiliaryAnswer(ranked=ranked, usage=order.usage.reported() if order.usage else None)
            case TokenizeRequest():
                return AuxiliaryAnswer(tokens=_TOKENS.decode(body).tokens)
            case DetokenizeRequest():
                return AuxiliaryAnswer(text=_TEXT.decode(body).content)
    except UNREADABLE:
        raise BackendFailed("the backend's answer cannot be read") from None


def encode(request: AuxiliaryRequest, answer: AuxiliaryAnswer) -> bytes:
    """The answer for a client, whose order of documents says the model by the name that was asked for."""
    asked = request.asked
    if not isinstance(asked, RerankRequest):
        return msgspec.json.encode({"content": answer.text} if answer.tokens is None else {"tokens": answer.tokens})
    usage = usage_object(answer.usage or UsageReported())
    results: list[dict[str, Any]] = []
    for ranked in answer.ranked or ():
        result: dict[str, Any] = {"index": ranked.index, "relevance_score": ranked.score}
        if asked.return_documents:
            result["document"] = {"text": asked.documents[ranked.index]}
        results.append(result)
    counts = {"prompt_tokens": usage["prompt_tokens"], "total_tokens": usage["total_tokens"]}
    return msgspec.json.encode({"object": "list", "model": request.model, "results": results, "usage": counts})


def _given(value: T | None, name: str) -> T:
    if value is None:
        raise InvalidParameter(f"you must provide a {name} parameter", param=name)
    return value

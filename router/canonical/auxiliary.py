"""What a client asks of a model beside answers and embeddings: an order of documents, or tokens."""

from typing import Literal

from msgspec import Raw, Struct

from router.canonical.events import UsageReported

Operation = Literal["rerank", "tokenize", "detokenize"]


class RerankRequest(Struct, frozen=True, kw_only=True):
    """Which of the documents answer the query best; the `top_n` best alone, if it says so."""

    query: str
    documents: tuple[str, ...]
    top_n: int | None = None
    return_documents: bool = False


class TokenizeRequest(Struct, frozen=True, kw_only=True):
    """The tokens of a text: their ids, or with `with_pieces` what each stands for as well."""

    content: str
    add_special: bool = False
    parse_special: bool = True
    with_pieces: bool = False


class DetokenizeRequest(Struct, frozen=True, kw_only=True):
    """The text that tokens stand for."""

    tokens: tuple[int, ...]


class AuxiliaryRequest(Struct, frozen=True, kw_only=True):
    """One of these, for a model."""

    operation: Operation
    model: str
    asked: RerankRequest | TokenizeRequest | DetokenizeRequest


class Ranked(Struct, frozen=True):
    """A document by its place in the request, and how well it fits: the higher the better, on no scale."""

    index: int
    score: float


class AuxiliaryAnswer(Struct, frozen=True, kw_only=True):
    """`tokens` is a JSON list of ids, or of objects with `id` and `piece`; only one of the three is set."""

    ranked: tuple[Ranked, ...] | None = None
    tokens: Raw | None = None
    text: str | None = None
    usage: UsageReported | None = None

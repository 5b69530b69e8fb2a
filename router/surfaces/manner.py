"""How the clients of a route are told of errors and of waiting: in the manner of OpenAI, Anthropic or Ollama."""

from collections.abc import Callable
from dataclasses import dataclass

from litestar.types import Scope

from router.dialects import anthropic_messages, ollama, openai_chat
from router.dialects.sse import PING
from router.errors import RouterError
from router.surfaces.headers import header

VERSION_HEADER = b"anthropic-version"


@dataclass(frozen=True, slots=True)
class Manner:
    """`render_error` writes an error's body, given the request's id; `ping` says in a stream that we live;
    empty, nothing may be said there but the answer.

    Answers carry the request's id in each of `id_headers`.
    """

    render_error: Callable[[RouterError, str], bytes]
    status_of: Callable[[RouterError], int]
    ping: bytes
    id_headers: tuple[bytes, ...]


OPENAI = Manner(lambda error, _: openai_chat.render_error(error), lambda error: error.status, PING, (b"x-request-id",))
ANTHROPIC = Manner(
    anthropic_messages.render_error,
    anthropic_messages.status_of,
    anthropic_messages.PING,
    (b"x-request-id", b"request-id"),
)
OLLAMA = Manner(lambda error, _: ollama.render_error(error), lambda error: error.status, b"", (b"x-request-id",))
MIRROR = frozenset(
    f"/api/{name}"
    for name in (
        "version", "tags", "ps", "show", "chat", "generate", "embed", "embeddings", "pull", "delete", "copy", "create",
    )
)  # fmt: skip
"""Where Ollama's clients ask; blobs have names of their own below."""
BLOBS = "/api/blobs/"


def manner_of(scope: Scope) -> Manner:
    """By the path, and where both have the same one by the header that only Anthropic's clients send."""
    if scope["path"] in MIRROR or scope["path"].startswith(BLOBS):
        return OLLAMA
    path = scope["path"].removeprefix("/v1")
    if path.startswith("/messages") or (path.startswith("/models") and header(scope, VERSION_HEADER)):
        return ANTHROPIC
    return OPENAI

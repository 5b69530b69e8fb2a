"""`/api/embed`, and `/api/embeddings`, which older clients ask."""

from collections.abc import Callable
from time import monotonic_ns

from litestar.types import ASGIApp, Receive, Scope

from router.access.principal import Scope as Ability
from router.canonical.adapter import Vectors
from router.canonical.request import EmbedRequest
from router.dialects import ollama
from router.relay.relay import Relay
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.direct import Endpoint, whole
from router.surfaces.drain import Drain
from router.surfaces.headers import explaining
from router.surfaces.recording import entry_of
from router.surfaces.vectors import embedded

_NOTHING = Vectors(vectors=())

Rendering = Callable[[Vectors, EmbedRequest, int], bytes]
"""Writes an answer that took so many nanoseconds."""


def embed_endpoint(relay: Relay, drain: Drain, *, max_body_bytes: int) -> Endpoint:
    """Vectors of one text or of many."""

    def render(vectors: Vectors, asked: EmbedRequest, took_ns: int) -> bytes:
        return ollama.render_embeddings(vectors, model=asked.model, took_ns=took_ns)

    return _endpoint(relay, drain, render, max_body_bytes=max_body_bytes)


def one_embedding_endpoint(relay: Relay, drain: Drain, *, max_body_bytes: int) -> Endpoint:
    """The vector of one text."""
    return _endpoint(
        relay, drain, lambda vectors, _, __: ollama.render_embedding(vectors), max_body_bytes=max_body_bytes
    )


def _endpoint(relay: Relay, drain: Drain, render: Rendering, *, max_body_bytes: int) -> Endpoint:
    async def embed(scope: Scope, receive: Receive) -> ASGIApp:
        entry_of(scope).operation = "embeddings"
        began = monotonic_ns()
        caller = caller_of(scope, Ability.EMBED)
        asked = ollama.parse_embed(await read_body(scope, receive, max_body_bytes))
        if not asked.inputs:
            return whole(render(_NOTHING, asked, monotonic_ns() - began), [])
        vectors, progress = await embedded(asked, scope, receive, caller=caller, relay=relay, drain=drain)
        return whole(render(vectors, asked, monotonic_ns() - began), explaining(progress))

    return embed

"""Whatever is posted for a backend to answer: each path and what answers there."""

from router.surfaces.answering import Answering
from router.surfaces.conversations import Conversations
from router.surfaces.direct import Endpoint
from router.surfaces.embeddings import embedding_endpoint
from router.surfaces.generate import chat_endpoint
from router.surfaces.messages import count_endpoint, message_endpoint
from router.surfaces.responses import input_endpoint, response_endpoint


def endpoints(answering: Answering, conversations: Conversations, *, max_body_bytes: int) -> dict[str, Endpoint]:
    """By path, with and without the `/v1` that some clients leave out."""
    limit = max_body_bytes
    return {
        **_at("/chat/completions", chat_endpoint(answering, max_body_bytes=limit)),
        **_at("/embeddings", embedding_endpoint(answering.relay, answering.drain, max_body_bytes=limit)),
        **_at("/messages", message_endpoint(answering, max_body_bytes=limit)),
        **_at("/messages/count_tokens", count_endpoint(answering.relay, max_body_bytes=limit)),
        **_at("/responses", response_endpoint(answering, conversations, max_body_bytes=limit)),
        **_at("/responses/input_tokens", input_endpoint(answering.relay, conversations, max_body_bytes=limit)),
    }


def _at(path: str, endpoint: Endpoint) -> dict[str, Endpoint]:
    return {f"{prefix}{path}": endpoint for prefix in ("/v1", "")}

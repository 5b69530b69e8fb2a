"""Whatever is posted for a backend to answer: each path and what answers there."""

from functools import partial

from router.surfaces.answering import Answering
from router.surfaces.auxiliary import auxiliary_endpoint
from router.surfaces.completions import completion_endpoint
from router.surfaces.conversations import Conversations
from router.surfaces.direct import Endpoint
from router.surfaces.embeddings import embedding_endpoint
from router.surfaces.generate import chat_endpoint
from router.surfaces.messages import count_endpoint, message_endpoint
from router.surfaces.mirror import generate as mirror
from router.surfaces.mirror.embed import embed_endpoint, one_embedding_endpoint
from router.surfaces.responses import input_endpoint, response_endpoint


def endpoints(answering: Answering, conversations: Conversations, *, max_body_bytes: int) -> dict[str, Endpoint]:
    """By path; OpenAI's and Anthropic's with and without the `/v1` that some clients leave out."""
    relay, drain, limit = answering.relay, answering.drain, max_body_bytes
    auxiliary = partial(auxiliary_endpoint, relay=relay, drain=drain, max_body_bytes=limit)
    found = {
        "/chat/completions": chat_endpoint(answering, max_body_bytes=limit),
        "/completions": completion_endpoint(answering, max_body_bytes=limit),
        "/embeddings": embedding_endpoint(relay, drain, max_body_bytes=limit),
        "/messages": message_endpoint(answering, max_body_bytes=limit),
        "/messages/count_tokens": count_endpoint(relay, max_body_bytes=limit),
        "/responses": response_endpoint(answering, conversations, max_body_bytes=limit),
        "/responses/input_tokens": input_endpoint(relay, conversations, max_body_bytes=limit),
        "/rerank": auxiliary("rerank"),
        "/reranking": auxiliary("rerank"),
        "/tokenize": auxiliary("tokenize"),
        "/detokenize": auxiliary("detokenize"),
    }
    mirrored = {
        "/api/chat": mirror.chat_endpoint(answering, max_body_bytes=limit),
        "/api/generate": mirror.generate_endpoint(answering, max_body_bytes=limit),
        "/api/embed": embed_endpoint(relay, drain, max_body_bytes=limit),
        "/api/embeddings": one_embedding_endpoint(relay, drain, max_body_bytes=limit),
    }
    both = {f"{prefix}{path}": endpoint for path, endpoint in found.items() for prefix in ("/v1", "")}
    return {**both, **mirrored}

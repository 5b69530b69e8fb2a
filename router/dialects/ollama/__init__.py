"""Ollama's native API: `/api/chat`, `/api/generate` and `/api/embed`."""

from router.dialects.ollama.decode import StreamDecoder, decode_embeddings, decode_whole, seconds
from router.dialects.ollama.generate import render_generate
from router.dialects.ollama.request import NAME, Rendered, render_embed, render_request

__all__ = [
    "NAME",
    "Rendered",
    "StreamDecoder",
    "decode_embeddings",
    "decode_whole",
    "render_embed",
    "render_generate",
    "render_request",
    "seconds",
]

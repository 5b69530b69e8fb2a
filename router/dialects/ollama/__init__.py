"""Ollama's native API: `/api/chat`, `/api/generate` and `/api/embed`, as its clients and as its servers speak it."""

from router.dialects.ollama.decode import StreamDecoder, decode_embeddings, decode_whole, seconds
from router.dialects.ollama.encode import (
    Encoder,
    GenerateEncoder,
    render_embedding,
    render_embeddings,
    render_error,
    render_kept,
    timestamp,
)
from router.dialects.ollama.generate import render_generate
from router.dialects.ollama.library import (
    Entry,
    is_shown,
    parse_name,
    render_loaded,
    render_shown,
    render_tags,
    render_version,
)
from router.dialects.ollama.manage import PullDecoder, decode_card, render_named
from router.dialects.ollama.names import GENERATE, NAME, OWN
from router.dialects.ollama.parse import Keep, parse_chat, parse_embed, parse_generate
from router.dialects.ollama.request import Rendered, render_embed, render_keep, render_request

__all__ = [
    "GENERATE",
    "NAME",
    "OWN",
    "Encoder",
    "Entry",
    "GenerateEncoder",
    "Keep",
    "PullDecoder",
    "Rendered",
    "StreamDecoder",
    "decode_card",
    "decode_embeddings",
    "decode_whole",
    "is_shown",
    "parse_chat",
    "parse_embed",
    "parse_generate",
    "parse_name",
    "render_embed",
    "render_embedding",
    "render_embeddings",
    "render_error",
    "render_generate",
    "render_keep",
    "render_kept",
    "render_loaded",
    "render_named",
    "render_request",
    "render_shown",
    "render_tags",
    "render_version",
    "seconds",
    "timestamp",
]

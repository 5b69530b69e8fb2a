"""Anthropic's messages: `/v1/messages` and `/v1/models`, as clients send and as Claude speaks them."""

from router.dialects.anthropic_messages.decode import Remember, StreamDecoder, decode_whole
from router.dialects.anthropic_messages.encode import PING, Encoder
from router.dialects.anthropic_messages.failures import FOREIGN_REASONING, classify
from router.dialects.anthropic_messages.listing import Entry, Page, render_model, render_models
from router.dialects.anthropic_messages.names import NAME
from router.dialects.anthropic_messages.parse import parse_request
from router.dialects.anthropic_messages.request import Rendered, counting, decode_count, render_request
from router.dialects.anthropic_messages.told import render_error, status_of
from router.dialects.anthropic_messages.traits import Listed, Traits, decode_models, is_known, known_models, traits_of

__all__ = [
    "FOREIGN_REASONING",
    "NAME",
    "PING",
    "Encoder",
    "Entry",
    "Listed",
    "Page",
    "Remember",
    "Rendered",
    "StreamDecoder",
    "Traits",
    "classify",
    "counting",
    "decode_count",
    "decode_models",
    "decode_whole",
    "is_known",
    "known_models",
    "parse_request",
    "render_error",
    "render_model",
    "render_models",
    "render_request",
    "status_of",
    "traits_of",
]

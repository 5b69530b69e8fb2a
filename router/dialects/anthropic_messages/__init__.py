"""Anthropic's messages: `/v1/messages` and `/v1/models`, as Claude speaks them."""

from router.dialects.anthropic_messages.decode import Remember, StreamDecoder, decode_whole
from router.dialects.anthropic_messages.failures import FOREIGN_REASONING, classify
from router.dialects.anthropic_messages.names import NAME
from router.dialects.anthropic_messages.request import Rendered, counting, decode_count, render_request
from router.dialects.anthropic_messages.traits import Listed, Traits, decode_models, is_known, known_models, traits_of

__all__ = [
    "FOREIGN_REASONING",
    "NAME",
    "Listed",
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
    "render_request",
    "traits_of",
]

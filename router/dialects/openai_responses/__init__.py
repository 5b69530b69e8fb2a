"""OpenAI's Responses API, as clients and some backends speak it."""

from router.dialects.openai_responses.decode import StreamDecoder, decode_whole
from router.dialects.openai_responses.encode import Answered, Encoder, Keep, usage_object
from router.dialects.openai_responses.ids import NAME
from router.dialects.openai_responses.render import render_request
from router.dialects.openai_responses.request import Asked, Memory, is_meant, parse_request

__all__ = [
    "NAME",
    "Answered",
    "Asked",
    "Encoder",
    "Keep",
    "Memory",
    "StreamDecoder",
    "decode_whole",
    "is_meant",
    "parse_request",
    "render_request",
    "usage_object",
]

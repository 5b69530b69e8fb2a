"""OpenAI's chat completions, as clients send and as backends speak it."""

from router.dialects.openai_answer import render_error
from router.dialects.openai_chat.compose import spoken, unspoken
from router.dialects.openai_chat.decode import StreamDecoder, decode_whole
from router.dialects.openai_chat.encode import Encoder
from router.dialects.openai_chat.ids import NAME
from router.dialects.openai_chat.prefill import continued
from router.dialects.openai_chat.render import asking_for_usage, render_request, sent_options
from router.dialects.openai_chat.request import parse_request

__all__ = [
    "NAME",
    "Encoder",
    "StreamDecoder",
    "asking_for_usage",
    "continued",
    "decode_whole",
    "parse_request",
    "render_error",
    "render_request",
    "sent_options",
    "spoken",
    "unspoken",
]

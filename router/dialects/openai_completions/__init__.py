"""OpenAI's text completions, as clients send and as backends speak them."""

from router.dialects.openai_completions.decode import StreamDecoder, decode_whole
from router.dialects.openai_completions.encode import Encoder
from router.dialects.openai_completions.ids import NAME
from router.dialects.openai_completions.render import render_request
from router.dialects.openai_completions.request import parse_request

__all__ = ["NAME", "Encoder", "StreamDecoder", "decode_whole", "parse_request", "render_request"]

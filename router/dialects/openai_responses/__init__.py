"""OpenAI's Responses API, as clients speak it."""

from router.dialects.openai_responses.encode import Encoder, Keep, usage_object
from router.dialects.openai_responses.ids import NAME
from router.dialects.openai_responses.request import Asked, Memory, is_meant, parse_request

__all__ = ["NAME", "Asked", "Encoder", "Keep", "Memory", "is_meant", "parse_request", "usage_object"]

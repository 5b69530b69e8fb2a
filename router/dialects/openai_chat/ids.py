"""The dialect's name, and identifiers in the shapes that OpenAI's clients know."""

from random import getrandbits

NAME = "openai_chat"


def new_completion_id() -> str:
    """An id for an answer, unique across processes."""
    return f"chatcmpl-{getrandbits(96):024x}"


def new_call_id() -> str:
    """An id for a tool call whose backend gave none."""
    return f"call_{getrandbits(96):024x}"

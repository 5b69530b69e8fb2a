"""The dialect's name, and identifiers in the shapes that OpenAI's clients know."""

from random import getrandbits

NAME = "openai_responses"


def new_id(prefix: str) -> str:
    """An id that is unique across processes, such as `resp_...` for an answer or `msg_...` for a message in it."""
    return f"{prefix}_{getrandbits(192):048x}"

"""The dialect's name, and ids in the shape that OpenAI's clients know."""

from random import getrandbits

NAME = "openai_completions"


def new_completion_id() -> str:
    """An id for an answer, unique across processes."""
    return f"cmpl-{getrandbits(96):024x}"

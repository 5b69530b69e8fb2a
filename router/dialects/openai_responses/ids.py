"""The dialect's name, and identifiers in the shapes that OpenAI's clients know."""

from random import getrandbits

NAME = "openai_responses"
OWN_REASONING = "rs_turnout_"
"""How the ids of reasoning begin that was told in this format here, whoever thought it."""


def new_id(prefix: str) -> str:
    """An id that is unique across processes, such as `resp_...` for an answer or `msg_...` for a message in it."""
    return f"{prefix}_{getrandbits(192):048x}"

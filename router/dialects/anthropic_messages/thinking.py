"""How hard a model should think, in the words that each model accepts."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from router.dialects.anthropic_messages.traits import EFFORTS, Traits
from router.errors import InvalidParameter

BUDGETS: Mapping[str, int] = {"low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576, "max": 32_768}
MIN_BUDGET = 1_024

_LEVELS = {"minimal": "low", **{level: level for level in EFFORTS}}


class Thinking(Struct, frozen=True):
    """Values of `output_config.effort` and `thinking`; None is not sent."""

    effort: str | None = None
    thinking: Mapping[str, Any] | None = None

    @property
    def has_budget(self) -> bool:
        """Whether this is the older kind, which takes no forced tool and forgets no block of a tool loop."""
        return self.thinking is not None and self.thinking["type"] == "enabled"


def asked(effort: str, traits: Traits, *, max_tokens: int, budgets: Mapping[str, int]) -> Thinking:
    """What OpenAI's `reasoning_effort` means to a model; raises InvalidParameter for a word that is none.

    Thoughts are asked for as a summary: newer models else send them empty.
    """
    if effort == "none":
        return _least(traits)
    if effort not in _LEVELS:
        known = ", ".join(("none", *_LEVELS))
        raise InvalidParameter(f"reasoning_effort must be one of {known}", param="reasoning_effort")
    level = _LEVELS[effort]
    thinking: Mapping[str, Any] | None = None
    if "adaptive" in traits.thinking:
        thinking = {"type": "adaptive", "display": "summarized"}
    elif "enabled" in traits.thinking and (budget := _budget(level, max_tokens, {**BUDGETS, **budgets})):
        thinking = {"type": "enabled", "budget_tokens": budget}
    return Thinking(_supported(level, traits), thinking)


def _least(traits: Traits) -> Thinking:
    """The nearest to not thinking that a model accepts."""
    if not traits.thinks_unasked:
        return Thinking()
    for kind in ("disabled", "between_tools"):
        if kind in traits.thinking:
            return Thinking(thinking={"type": kind})
    return Thinking("low" if "low" in traits.efforts else None)


def _supported(level: str, traits: Traits) -> str | None:
    """The level, or the highest below it that the model knows."""
    below = EFFORTS[: EFFORTS.index(level) + 1]
    return next((known for known in reversed(below) if known in traits.efforts), None)


def _budget(level: str, max_tokens: int, budgets: Mapping[str, int]) -> int | None:
    """Tokens to think with: fewer than the answer may have in all, or None when that leaves too few."""
    budget = max(budgets[level], MIN_BUDGET)
    if budget < max_tokens:
        return budget
    return max(max_tokens // 2, MIN_BUDGET) if max_tokens > MIN_BUDGET else None

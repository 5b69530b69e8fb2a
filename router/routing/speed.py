"""How fast each model on each backend has been lately. Pure: the clock is passed in."""

from collections import OrderedDict

from router.routing.catalog import Target

HALF_LIFE_S = 300.0
MAX_WEIGHT = 10.0
MAX_TARGETS = 1000
USUAL_ANSWER = 200
"""Tokens of the answer by whose time two targets are compared."""


class Mean:
    """A mean in which what was observed counts half after each `HALF_LIFE_S`, and the last ten or so count most."""

    __slots__ = ("_at", "_weight", "value")

    def __init__(self) -> None:
        self.value: float | None = None
        self._weight = 0.0
        self._at = 0.0

    def observe(self, value: float, now: float) -> None:
        if self.value is None:
            self.value, self._weight, self._at = value, 1.0, now
            return
        weight = self._weight * 0.5 ** (max(0.0, now - self._at) / HALF_LIFE_S)
        self.value += (value - self.value) / (weight + 1.0)
        self._weight, self._at = min(weight + 1.0, MAX_WEIGHT), max(self._at, now)


class Speed:
    """One target: seconds from being sent a request to the first token, and tokens per second after it."""

    __slots__ = ("first_token_s", "tokens_per_s")

    def __init__(self) -> None:
        self.first_token_s = Mean()
        self.tokens_per_s = Mean()

    @property
    def answer_s(self) -> float | None:
        """How long an answer of usual length would take; None before anything is known of its length."""
        first, rate = self.first_token_s.value, self.tokens_per_s.value
        if first is None and rate is None:
            return None
        return (first or 0.0) + (USUAL_ANSWER / rate if rate else 0.0)


class Speeds:
    """Targets by how fast they were, the one that was used least lately being forgotten first."""

    def __init__(self, limit: int = MAX_TARGETS) -> None:
        self._limit = limit
        self._speeds: OrderedDict[Target, Speed] = OrderedDict()

    def __len__(self) -> int:
        return len(self._speeds)

    def of(self, target: Target) -> Speed | None:
        return self._speeds.get(target)

    def began(self, target: Target, first_token_s: float, *, now: float) -> None:
        """A request had its first token after so long at the backend, which had the model loaded."""
        self._kept(target).first_token_s.observe(first_token_s, now)

    def ended(self, target: Target, tokens_per_s: float, *, now: float) -> None:
        """A stream was so fast once it had begun."""
        self._kept(target).tokens_per_s.observe(tokens_per_s, now)

    def _kept(self, target: Target) -> Speed:
        speed = self._speeds.get(target)
        if speed is None:
            speed = self._speeds[target] = Speed()
            if len(self._speeds) > self._limit:
                self._speeds.popitem(last=False)
        else:
            self._speeds.move_to_end(target)
        return speed

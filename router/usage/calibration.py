"""How far estimates are from what each model really counts, learned from the requests that it counted. Pure."""

from collections.abc import Iterator, Mapping
from math import exp, log, sqrt

from msgspec import Struct

FOREIGN = 0.1
"""From this share of non-ASCII characters on, a text is another kind of text: vocabularies differ most there."""
MAX_MODELS = 500
FULL_WEIGHT_TOKENS = 500
"""Shorter prompts say less: what a template adds is most of them."""
MIN_STEP = 0.05
"""How much the newest count changes a ratio that is well known: half of it is forgotten after 14 requests."""
TRUSTED = 5.0
FIRST_SPREAD = 0.3
"""The logarithm of how far an estimate is off for a model that nothing is known of."""
MAX_OFF = 8.0


class Kind(Struct, frozen=True, gc=False):
    """A model on a kind of backend, and the kind of text."""

    backend: str
    model: str
    foreign: bool = False


class Ratio(Struct, frozen=True, gc=False):
    """What is known of true by estimated tokens: mean and variance of its logarithm, and how well they are known.

    `before` and `after` are the mean errors of the estimate as it was and as it was corrected, as parts of the truth;
    `samples` is how many requests taught it.
    """

    mean: float = 0.0
    variance: float = FIRST_SPREAD**2
    weight: float = 0.0
    before: float = 0.0
    after: float = 0.0
    samples: int = 0

    @property
    def factor(self) -> float:
        """What an estimate is to be multiplied by."""
        return exp(self.mean)

    @property
    def spread(self) -> float:
        """How far a corrected estimate is off, as a part of it."""
        return exp(sqrt(self.variance)) - 1

    @property
    def is_trusted(self) -> bool:
        return self.weight >= TRUSTED

    def learned(self, estimated: float, true: int) -> "Ratio":
        """What is known after one more request."""
        off = max(-log(MAX_OFF), min(log(true / estimated), log(MAX_OFF)))
        counts = min(1.0, true / FULL_WEIGHT_TOKENS)
        step = max(counts / (self.weight + counts), MIN_STEP * counts)
        change = off - self.mean
        mean = self.mean + step * change
        seen = change * (off - mean)
        variance = (1 - step) * self.variance + step * seen if self.weight else FIRST_SPREAD**2
        slow = max(1 / (self.samples + 1), MIN_STEP)
        return Ratio(
            mean=mean,
            variance=variance,
            weight=self.weight + counts,
            before=self.before + slow * (abs(estimated / true - 1) - self.before),
            after=self.after + slow * (abs(estimated * self.factor / true - 1) - self.after),
            samples=self.samples + 1,
        )


UNKNOWN = Ratio()


class Calibration:
    """The ratios of all models, the least recently used of too many forgotten."""

    def __init__(self, known: Mapping[Kind, Ratio] | None = None) -> None:
        self._ratios = dict(known or {})
        self.changes = 0

    def __iter__(self) -> Iterator[tuple[Kind, Ratio]]:
        return iter(tuple(self._ratios.items()))

    def ratio(self, kind: Kind) -> Ratio:
        """What is known of a model and a kind of text."""
        return self._ratios.get(kind, UNKNOWN)

    def observe(self, kind: Kind, estimated: float, true: int) -> None:
        """A request that was estimated and then counted."""
        if estimated <= 0 or true <= 0:
            return
        ratio = self._ratios.pop(kind, UNKNOWN)
        if len(self._ratios) >= MAX_MODELS:
            del self._ratios[next(iter(self._ratios))]
        self._ratios[kind] = ratio.learned(estimated, true)
        self.changes += 1

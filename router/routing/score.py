"""How good a target is for a request, in points. Pure.

The parts are added. A loaded model is worth more than everything that speaks for a backend which would have to load it
first, until about two requests wait for each of its slots.
"""

from collections.abc import Sequence
from math import log2

from msgspec import Struct

LOADED = 40.0
UNTOLD = 20.0
CONVERSATION = 30.0
FREE = 20.0
SPEED = 10.0
DOUBLE_WEIGHT = 10.0
MAX_DOUBLINGS = 5.0


class Standing(Struct, frozen=True, gc=False):
    """What speaks for and against a target just now.

    `resident` is whether its model is loaded, None if the backend does not say. `busy` counts requests that run or wait
    there, `limit` how many may run at once. `answer_s` is how long an answer usually takes, None if that is not known.
    """

    resident: bool | None = None
    knows: bool = False
    busy: int = 0
    limit: int = 1
    weight: float = 1.0
    answer_s: float | None = None


class Score(Struct, frozen=True, gc=False):
    """Points for each part."""

    loaded: float
    conversation: float
    slots: float
    speed: float
    weight: float

    @property
    def total(self) -> float:
        """What targets are compared by; differences below a tenth of a point are none."""
        return round(self.loaded + self.conversation + self.slots + self.speed + self.weight, 1)

    @property
    def parts(self) -> dict[str, float]:
        """The points by the names of their parts."""
        return {name: round(getattr(self, name), 1) for name in self.__struct_fields__}


def scores(standings: Sequence[Standing]) -> list[Score]:
    """The points of targets that are compared with each other."""
    known = [standing.answer_s for standing in standings if standing.answer_s is not None]
    fastest = min(known) if known else None
    return [score(standing, fastest) for standing in standings]


def score(standing: Standing, fastest_s: float | None) -> Score:
    """Its points. Speed is measured against the fastest; an unknown one counts as fast, so that it is tried."""
    answer_s = standing.answer_s
    return Score(
        UNTOLD if standing.resident is None else LOADED if standing.resident else 0.0,
        CONVERSATION if standing.knows else 0.0,
        FREE * (1.0 - standing.busy / standing.limit),
        SPEED if answer_s is None or fastest_s is None or answer_s <= 0 else SPEED * (fastest_s / answer_s),
        _preference(standing.weight),
    )


def _preference(weight: float) -> float:
    """Ten points for each doubling of the configured weight."""
    if weight == 1.0:
        return 0.0
    return DOUBLE_WEIGHT * max(-MAX_DOUBLINGS, min(MAX_DOUBLINGS, log2(weight)))


def words(first: Standing, best: Score, second: Score | None) -> tuple[str, ...]:
    """Why the first is first, in a few words."""
    if first.resident or first.knows:
        return ("loaded",) * bool(first.resident) + ("knows conversation",) * first.knows
    if second is None:
        return ()
    ahead, word = max(
        (best.slots - second.slots, "least busy"),
        (best.speed - second.speed, "fastest"),
        (best.weight - second.weight, "preferred"),
        (best.loaded - second.loaded, "needs no load"),
    )
    return (word,) if ahead >= 0.1 else ("by chance",)

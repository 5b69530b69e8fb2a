"""What fits beside what, and who has to go. Pure."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Budget:
    """The memory of a group, in bytes, and what its members are taken to need; None is not bounded.

    `misfits` ran out of memory together, whatever the sizes say.
    """

    memory: int | None = None
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    misfits: frozenset[frozenset[str]] = frozenset()

    def fits(self, names: AbstractSet[str]) -> bool:
        """Whether these may run side by side. One alone always may: sizes are guesses until it has been tried."""
        if len(names) <= 1:
            return True
        if any(misfit <= names for misfit in self.misfits):
            return False
        return self.memory is None or sum(self.sizes.get(name, 0) for name in names) <= self.memory

    def sized(self, name: str, size: int) -> "Budget":
        """The same, knowing more."""
        return replace(self, sizes={**self.sizes, name: size})

    def without_room(self, names: AbstractSet[str]) -> "Budget":
        """The same, knowing that these do not fit together."""
        return self if len(names) < 2 else replace(self, misfits=self.misfits | {frozenset(names)})


@dataclass(frozen=True, slots=True)
class Occupant:
    """One that has memory. `idle_since` is None for who is busy, loads, or is to stay; `leaving` is about to go."""

    name: str
    idle_since: float | None = None
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """`go`: start it now. `evict`: these have to go first. `wait`: for those who leave, or for somebody to be idle."""

    verdict: Literal["go", "evict", "wait"]
    victims: tuple[str, ...] = ()


_GO, _WAIT = Placement("go"), Placement("wait")


def place(name: str, occupants: Sequence[Occupant], budget: Budget, *, alone: bool = False) -> Placement:
    """What has to happen before `name` can start: the longest idle go first, and no more of them than have to.

    `alone`: every idle one has to go, whatever it is taken to need. Nobody busy or loading ever does.
    """
    staying = [occupant for occupant in occupants if not occupant.leaving]
    idle = sorted((each for each in staying if each.idle_since is not None), key=lambda each: each.idle_since or 0.0)
    if alone and idle:
        return Placement("evict", tuple(each.name for each in idle))
    if budget.fits({name, *(each.name for each in occupants)}):
        return _GO if not alone or len(staying) == len(occupants) else _WAIT
    left = {name, *(each.name for each in staying)}
    if budget.fits(left):
        return _WAIT
    victims: list[str] = []
    for each in idle:
        left.discard(each.name)
        victims.append(each.name)
        if budget.fits(left):
            return Placement("evict", tuple(_needed(victims, left, budget)))
    return _WAIT


def _needed(victims: Sequence[str], left: AbstractSet[str], budget: Budget) -> list[str]:
    """Those without whom it would not fit; the last of them always is, and others are spared the latest first."""
    kept: set[str] = set(left)
    needed: list[str] = []
    for victim in reversed(victims):
        if budget.fits(kept | {victim}):
            kept.add(victim)
        else:
            needed.append(victim)
    return needed[::-1]

"""What people and comments see of a lane: its limits, who waits, in which place and for how long."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

from router.admission.claims import Claim, Entry, Limits, Priority, fits_always
from router.admission.limits import LaneSpec
from router.admission.scheduler import Lane

FRESH_S = 0.5
"""How long the order of a line is good enough for telling people: working it out takes milliseconds."""


class Queued(Protocol):
    """A request in line, under its id, with all its claims."""

    @property
    def request(self) -> str: ...
    @property
    def claims(self) -> Sequence[Claim]: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """A place in line; 1 is next. `eta_s` is a guess."""

    position: int
    eta_s: float


@dataclass(slots=True)
class Track:
    """A lane, what looks have told about its backends, what fits together, which are drained, and its one timer."""

    spec: LaneSpec
    lane: Lane
    learned: dict[str, int] = field(default_factory=dict[str, int])
    fits: Callable[[AbstractSet[str]], bool] = fits_always
    drained: set[str] = field(default_factory=set[str])
    timer: asyncio.TimerHandle | None = None
    _seen_at: float = float("-inf")
    _seen: Mapping[int, Standing] = field(default_factory=dict[int, Standing])

    def standings(self, now: float, ticket: int) -> Mapping[int, Standing]:
        """Everybody's place by ticket, not older than FRESH_S, and with this ticket if it waits."""
        if now - self._seen_at > FRESH_S or ticket not in self._seen:
            entries = self.lane.entries(now)
            self._seen = {entry.claim.ticket: Standing(entry.position, entry.eta_s) for entry in entries}
            self._seen_at = now
        return self._seen


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request in a lane's line; `backends` are all those that it waits for, in whichever lane."""

    id: str
    source: str
    user: str
    priority: Priority
    alias: str
    model: str
    backends: tuple[str, ...]
    waited_s: float
    position: int
    eta_s: float


@dataclass(frozen=True, slots=True)
class LaneView:
    """One lane at one moment."""

    name: str
    limits: Limits
    in_flight: Mapping[str, int]
    drained: frozenset[str]
    loaded: Mapping[str, frozenset[str]]  # of backends that swap models, as far as the lane knows
    waiting: tuple[Waiting, ...]


def standing(track: Track, ticket: int, now: float) -> Standing | None:
    """The place of one ticket."""
    return track.standings(now, ticket).get(ticket)


def view(track: Track, stays: Mapping[int, Queued], now: float) -> LaneView:
    """A lane with everybody in its line, the next one first."""
    lane, spec = track.lane, track.spec
    return LaneView(
        name=spec.name,
        limits=lane.limits,
        in_flight={backend: lane.in_flight(backend) for backend in spec.backends},
        drained=frozenset(track.drained),
        loaded={backend: lane.loaded(backend) for backend in spec.backends if backend in lane.limits.reloading},
        waiting=tuple(_waiting(entry, stays[entry.claim.ticket]) for entry in lane.entries(now)),
    )


def _waiting(entry: Entry, stay: Queued) -> Waiting:
    claim = entry.claim
    return Waiting(
        id=stay.request,
        source=claim.source,
        user=claim.user,
        priority=claim.priority,
        alias=claim.alias,
        model=claim.model,
        backends=tuple(dict.fromkeys(each.backend for each in stay.claims)),
        waited_s=entry.waited_s,
        position=entry.position,
        eta_s=entry.eta_s,
    )

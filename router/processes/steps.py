"""What to do next with the processes: one step at a time, each decided from a fresh snapshot. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf

from router.processes.child import COMING_UP, Child, Phase
from router.processes.memory import Budget, Occupant, place

MAX_MISSED = 6
"""So often in a row one that is ready may leave a question unanswered."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How one is run. `group` is whose memory it shares, its own name if nobody's; times are seconds.

    Every `watch_s` one that is ready is asked whether it is still there.
    """

    group: str
    always: bool = False
    idle_unload_s: float = inf
    load_s: float = 600.0
    watch_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Yard:
    """All processes at one moment, and what they share."""

    children: Mapping[str, Child]
    terms: Mapping[str, Terms]
    budgets: Mapping[str, Budget]


@dataclass(frozen=True, slots=True)
class Spawn:
    name: str


@dataclass(frozen=True, slots=True)
class Stop:
    """`failing` says what is wrong with it, if that is why."""

    name: str
    why: str
    failing: str = ""


@dataclass(frozen=True, slots=True)
class Kill:
    name: str


@dataclass(frozen=True, slots=True)
class Fail:
    """It cannot be started, and whoever waits for it is to be told."""

    name: str
    why: str


Step = Spawn | Stop | Kill | Fail


def next_step(yard: Yard, now: float) -> Step | None:
    """The most urgent thing to do; None when there is nothing. Carry it out, then ask again."""
    for child in yard.children.values():
        if step := _overdue(child, yard.terms[child.name], now):
            return step
    blocked: set[str] = set()
    for child in sorted(_wanting(yard, now), key=lambda child: now if child.wanted_at is None else child.wanted_at):
        group = yard.terms[child.name].group
        if group in blocked:
            continue
        step = _towards(child, yard)
        if step is not None:
            return step
        blocked.add(group)  # whoever has waited longer is not overtaken by a smaller one
    return None


def due(yard: Yard, now: float) -> float | None:
    """When to ask again though nothing happens."""
    moments = [moment for child in yard.children.values() for moment in _moments(child, yard.terms[child.name])]
    return min((moment for moment in moments if now < moment < inf), default=None)


def wants_to_run(child: Child, terms: Terms) -> bool:
    """Whether it should run though it does not."""
    return child.wanted_at is not None or (terms.always and not child.is_held)


def _moments(child: Child, terms: Terms) -> Iterator[float]:
    if child.phase is Phase.STOPPING:
        yield child.kill_at
    elif child.phase in COMING_UP:
        yield child.since + terms.load_s
    elif child.is_idle and not terms.always:
        yield child.used_at + terms.idle_unload_s
    elif child.phase is Phase.CRASHED and wants_to_run(child, terms):
        yield child.retry_at


def _overdue(child: Child, terms: Terms, now: float) -> Step | None:
    if child.phase is Phase.STOPPING and now >= child.kill_at:
        return Kill(child.name)
    if child.phase in COMING_UP and now >= child.since + terms.load_s:
        return Stop(child.name, "it hangs", failing=f"was not ready after {terms.load_s:g} s")
    if child.phase is Phase.READY and child.missed >= MAX_MISSED:
        return Stop(child.name, "it hangs", failing=f"did not answer {child.missed} times in a row")
    if child.is_idle and not terms.always and now >= child.used_at + terms.idle_unload_s:
        return Stop(child.name, "idle")
    return None


def _wanting(yard: Yard, now: float) -> Iterator[Child]:
    for child in yard.children.values():
        is_down = child.phase is Phase.STOPPED or (child.phase is Phase.CRASHED and now >= child.retry_at)
        if is_down and wants_to_run(child, yard.terms[child.name]):
            yield child


def _towards(child: Child, yard: Yard) -> Step | None:
    """What brings it nearer to running; None while others have to end or become idle first."""
    occupants = [_occupant(other, yard.terms[other.name]) for other in _neighbours(child, yard)]
    if child.cramped and not any(other.idle_since is not None or other.leaving for other in occupants):
        if not _has_made_room(child, yard):
            return Fail(child.name, f"{child.error}: it ran out of memory, and nobody could make room")
        return Spawn(child.name)
    placement = place(child.name, occupants, yard.budgets[yard.terms[child.name].group], alone=child.cramped)
    if placement.verdict == "evict":
        return Stop(placement.victims[0], f"makes room for {child.name}")
    return Spawn(child.name) if placement.verdict == "go" else None


def _has_made_room(child: Child, yard: Yard) -> bool:
    """Whether somebody has gone since it ran out of memory."""
    others = (yard.children[name] for name, terms in yard.terms.items() if terms.group == yard.terms[child.name].group)
    return any(
        other.name != child.name and other.phase is Phase.STOPPED and other.since >= child.since for other in others
    )


def _neighbours(child: Child, yard: Yard) -> Iterator[Child]:
    group = yard.terms[child.name].group
    for other in yard.children.values():
        if other.name != child.name and other.is_alive and yard.terms[other.name].group == group:
            yield other


def _occupant(child: Child, terms: Terms) -> Occupant:
    idle_since = child.used_at if child.is_idle and not terms.always else None
    return Occupant(child.name, idle_since, leaving=child.phase is Phase.STOPPING)

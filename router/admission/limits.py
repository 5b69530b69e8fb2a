"""What each lane may do at once: from the settings, and from what looks at the backends have told. Pure."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from router.admission.claims import Limits, fits_always


@dataclass(frozen=True, slots=True)
class Room:
    """What one backend takes at once: `most` requests, on each of its models if `per_model`.

    `fixed`: the settings say so, whatever a look tells. `swaps`: it loads models as they are asked for. `launched`: it
    is one model, whose process is started as it is asked for.
    """

    backend: str
    most: int
    fixed: bool = False
    per_model: bool = False
    swaps: bool = False
    launched: bool = False


@dataclass(frozen=True, slots=True)
class LaneSpec:
    """A lane by its name, that of a backend or of a group; `base` is what holds whatever the backends take."""

    name: str
    rooms: tuple[Room, ...]
    base: Limits = field(default_factory=Limits)

    @property
    def backends(self) -> tuple[str, ...]:
        return tuple(room.backend for room in self.rooms)

    def limits(self, learned: Mapping[str, int], fits: Callable[[AbstractSet[str]], bool] = fits_always) -> Limits:
        """`learned` are the slots of backends that have told them, `fits` says which processes may run together."""
        most = {room.backend: _most(room, learned) for room in self.rooms}
        by_model = {room.backend for room in self.rooms if room.per_model}
        return replace(
            self.base,
            per_backend={backend: limit for backend, limit in most.items() if backend not in by_model},
            per_model={backend: limit for backend, limit in most.items() if backend in by_model},
            reloading=frozenset(room.backend for room in self.rooms if room.swaps),
            sharing=frozenset(room.backend for room in self.rooms if room.launched),
            fits=fits,
        )


def _most(room: Room, learned: Mapping[str, int]) -> int:
    return room.most if room.fixed else learned.get(room.backend, room.most)


def lanes(
    rooms: Mapping[str, Room], groups: Mapping[str, tuple[tuple[str, ...], int | None]], base: Limits
) -> tuple[LaneSpec, ...]:
    """A lane for each group, by its members and what they take together, and one for every backend in none."""
    grouped = {member for members, _ in groups.values() for member in members}
    specs = [
        LaneSpec(
            name,
            tuple(rooms[member] for member in members if member in rooms),
            replace(base, max_parallel=together),
        )
        for name, (members, together) in groups.items()
    ]
    specs += [LaneSpec(name, (room,), base) for name, room in rooms.items() if name not in grouped]
    return tuple(spec for spec in specs if spec.rooms)

"""What lanes may do at once: settings first, then what looks have told, then what is usual."""

from router.admission.claims import Limits
from router.admission.limits import LaneSpec, Room, lanes

BASE = Limits(max_depth=7)


def test_slots_that_a_look_has_told_replace_a_guess_and_not_a_setting():
    spec = LaneSpec("gpu", (Room("guessed", 4), Room("set", 2, fixed=True)), BASE)
    assert spec.limits({}).per_backend == {"guessed": 4, "set": 2}
    assert spec.limits({"guessed": 9, "set": 9}).per_backend == {"guessed": 9, "set": 2}
    assert spec.limits({}).max_depth == 7


def test_a_backend_that_swaps_models_is_limited_by_model():
    limits = LaneSpec("desk", (Room("desk", 1, per_model=True, swaps=True),), BASE).limits({})
    assert (limits.per_backend, limits.per_model, limits.reloading) == ({}, {"desk": 1}, {"desk"})


def test_every_backend_has_one_lane_and_groups_have_theirs_together():
    rooms = {name: Room(name, 1) for name in ("a", "b", "c")}
    specs = lanes(rooms, {"gpu": (("a", "c", "off"), 2), "gone": (("off",), None)}, BASE)
    assert [(spec.name, spec.backends, spec.base.max_parallel) for spec in specs] == [
        ("gpu", ("a", "c"), 2),
        ("b", ("b",), None),
    ]

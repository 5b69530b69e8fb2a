"""What fits beside what: never more goes than has to, and nobody busy ever."""

from hypothesis import given
from hypothesis import strategies as st

from router.processes.memory import Budget, Occupant, place

NAMES = "abcdef"
OCCUPANTS = st.lists(
    st.builds(Occupant, st.sampled_from(NAMES), st.none() | st.floats(0, 100), st.booleans()),
    unique_by=lambda occupant: occupant.name,
    max_size=6,
)
SIZES = st.fixed_dictionaries({name: st.integers(1, 10) for name in (*NAMES, "new")})


def idle(name: str, since: float = 0.0) -> Occupant:
    return Occupant(name, since)


def test_without_a_limit_everything_fits():
    assert Budget(None, {"a": 10**12, "b": 10**12}).fits({"a", "b"})


def test_one_alone_may_always_be_tried():
    assert Budget(1, {"a": 10}).fits({"a"})


def test_what_ran_out_of_memory_together_is_not_tried_again():
    budget = Budget(None).without_room({"a", "b"})
    assert not budget.fits({"a", "b", "c"})
    assert budget.fits({"a", "c"})
    assert Budget(None).without_room({"a"}).fits({"a", "b"})


def test_the_longest_idle_go_first_and_no_more_than_have_to():
    budget = Budget(10, {"a": 1, "b": 8, "c": 1, "new": 8})
    placement = place("new", [idle("a", 1), idle("b", 2), idle("c", 3)], budget)
    assert (placement.verdict, placement.victims) == ("evict", ("b",))


def test_those_who_leave_are_waited_for_rather_than_others_sent_away():
    budget = Budget(2, {"a": 1, "b": 1, "new": 1})
    assert place("new", [Occupant("a", None, leaving=True), idle("b")], budget).verdict == "wait"


def test_after_a_load_without_room_all_who_are_idle_go():
    placement = place("new", [idle("a", 2), idle("b", 1), Occupant("c")], Budget(None), alone=True)
    assert placement.victims == ("b", "a")


@given(OCCUPANTS, SIZES, st.integers(1, 30))
def test_a_placement_keeps_its_promises(occupants, sizes, memory):
    budget = Budget(memory, sizes)
    placement = place("new", occupants, budget)
    everybody = {"new", *(occupant.name for occupant in occupants)}
    may_go = {each.name for each in occupants if each.idle_since is not None and not each.leaving}
    leaving = {each.name for each in occupants if each.leaving}
    match placement.verdict:
        case "go":
            assert budget.fits(everybody)
        case "evict":
            victims = set(placement.victims)
            assert victims
            assert victims <= may_go
            assert budget.fits(everybody - leaving - victims)
            assert not any(budget.fits(everybody - leaving - (victims - {one})) for one in victims)
        case "wait":
            assert not budget.fits(everybody)
            assert budget.fits(everybody - leaving) or not budget.fits(everybody - leaving - may_go)


@given(OCCUPANTS, SIZES, st.integers(1, 30))
def test_whoever_is_sent_away_was_idle_no_shorter_than_one_of_the_same_size_who_stays(occupants, sizes, memory):
    placement = place("new", occupants, Budget(memory, sizes))
    idle_since = {each.name: each.idle_since for each in occupants if each.idle_since is not None and not each.leaving}
    for victim in placement.victims:
        for other in idle_since.keys() - set(placement.victims):
            if sizes[victim] == sizes[other]:
                assert idle_since[victim] <= idle_since[other]

"""Holding a slot while a request runs: queueing, leaving, giving up."""

import asyncio
import time
from collections.abc import Awaitable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.admission.claims import Claim, Limits
from router.admission.gate import Gate
from router.admission.limits import LaneSpec, Room
from router.canonical.caller import Priority
from router.errors import QueueFull, QueueShareExhausted
from tests.admission.visits import SOON_S, Visit, gate_of, is_empty, settled, until

pytestmark = pytest.mark.anyio


async def test_a_free_slot_is_given_at_once():
    gate = gate_of({"desk": 1})
    visit = Visit(gate)
    await asyncio.sleep(0)
    assert visit.is_in.is_set()
    assert visit.stay.turn is None
    await visit.go()
    assert is_empty(gate)


async def test_a_second_request_waits_for_the_first():
    gate = gate_of({"desk": 1})
    first, second = Visit(gate), Visit(gate)
    await until(lambda: gate.waiting_for("desk") == 1)
    assert not second.is_in.is_set()
    await first.go()
    await second.is_in.wait()
    await second.go()
    assert is_empty(gate)


async def test_backends_have_lines_of_their_own():
    gate = gate_of({"desk": 1, "lab": 1})
    desk, lab = Visit(gate), Visit(gate, ["lab"])
    await settled()
    assert desk.is_in.is_set()
    assert lab.is_in.is_set()
    await asyncio.gather(desk.go(), lab.go())


async def test_backends_of_a_group_share_a_line():
    spec = LaneSpec("gpu", (Room("desk", 9), Room("lab", 9)), Limits(max_parallel=1))
    gate = Gate([spec])
    desk, lab = Visit(gate), Visit(gate, ["lab"])
    await settled()
    assert (desk.is_in.is_set(), lab.is_in.is_set()) == (True, False)
    await desk.go()
    await lab.go()
    assert is_empty(gate)


async def test_a_client_leaving_while_queued_is_forgotten():
    gate = gate_of({"desk": 1})
    first, leaver, third = Visit(gate), Visit(gate), Visit(gate)
    await until(lambda: gate.waiting_for("desk") == 2)
    await leaver.leave()
    assert gate.waiting_for("desk") == 1
    await first.go()
    await third.is_in.wait()
    await third.go()
    assert is_empty(gate)


async def test_a_client_leaving_in_the_moment_of_its_turn_passes_the_slot_on():
    gate = gate_of({"desk": 1})
    first, leaver, third = Visit(gate), Visit(gate), Visit(gate)
    await until(lambda: gate.waiting_for("desk") == 2)
    first.may_go.set()
    await until(lambda: leaver.stay.admitted is not None)
    assert not leaver.is_in.is_set()
    leaver.task.cancel()
    await third.is_in.wait()
    assert not leaver.is_in.is_set()
    await third.go()
    assert is_empty(gate)


async def test_a_turn_that_comes_in_the_moment_of_giving_up_is_taken():
    gate = gate_of({"desk": 1}, max_wait_s=SOON_S)
    first, second = Visit(gate), Visit(gate)
    await until(lambda: gate.waiting_for("desk") == 1)
    first.may_go.set()
    time.sleep(2 * SOON_S)  # noqa: ASYNC251 (the loop comes late: turn and timer are in its next step, in this order)
    await until(lambda: second.is_in.is_set() or second.task.done())
    await second.go()
    assert is_empty(gate)


async def test_a_client_leaving_while_running_frees_its_slot():
    gate = gate_of({"desk": 1})
    first, second = Visit(gate), Visit(gate)
    await first.is_in.wait()
    await first.leave()
    await second.is_in.wait()
    await second.go()
    assert is_empty(gate)


async def test_a_failing_request_frees_its_slot():
    gate = gate_of({"desk": 1})
    claim = Claim(gate.ticket(), "desk", "m", "", Priority.NORMAL, 0.0)
    with pytest.raises(RuntimeError):
        async with gate.admit(claim):
            raise RuntimeError
    assert is_empty(gate)


async def test_waiting_too_long_is_an_answer_with_a_time_to_come_back():
    gate = gate_of({"desk": 1}, max_wait_s=SOON_S)
    first, second = Visit(gate), Visit(gate)
    with pytest.raises(QueueFull) as caught:
        await second.task
    assert (caught.value.status, caught.value.retryable) == (503, True)
    assert (caught.value.retry_after or 0) > 0
    assert gate.waiting_for("desk") == 0
    await first.go()
    assert is_empty(gate)


async def test_a_full_line_is_an_answer_at_once():
    gate = gate_of({"desk": 1}, max_depth=3)
    visits = [Visit(gate) for _ in range(4)]
    await until(lambda: gate.waiting_for("desk") == 3)
    with pytest.raises(QueueFull) as caught:
        await Visit(gate).task
    assert (caught.value.retry_after or 0) > 0
    for visit in visits:
        await visit.leave()
    assert is_empty(gate)


async def test_a_user_with_a_full_share_is_told_so_and_others_still_get_in_line():
    gate = gate_of({"desk": 1}, max_per_user=2)
    visits = [Visit(gate, user="ann") for _ in range(3)]
    await until(lambda: gate.waiting_for("desk") == 2)
    with pytest.raises(QueueShareExhausted) as caught:
        await Visit(gate, user="ann").task
    assert (caught.value.status, caught.value.kind, caught.value.retryable) == (429, "rate_limit_error", True)
    visits.append(Visit(gate, user="bob"))
    await until(lambda: gate.waiting_for("desk") == 3)
    for visit in visits:
        await visit.leave()
    assert is_empty(gate)


async def test_who_gave_up_does_not_keep_others_waiting():
    gate = gate_of({"desk": 1}, max_wait_s=SOON_S)
    first, impatient = Visit(gate), Visit(gate)
    await asyncio.wait((impatient.task,))
    third = Visit(gate)
    await first.go()
    await third.is_in.wait()
    await third.go()
    assert is_empty(gate)


async def test_who_waits_in_several_lines_takes_the_first_slot_and_leaves_the_others():
    gate = gate_of({"desk": 1, "lab": 1})
    desk, lab = Visit(gate), Visit(gate, ["lab"])
    either, behind = Visit(gate, ["desk", "lab"]), Visit(gate, ["desk"])
    await until(lambda: gate.waiting_for("desk") == 2 and gate.waiting_for("lab") == 1)
    await lab.go()
    await either.is_in.wait()
    assert either.backend == "lab"
    assert (gate.waiting_for("desk"), gate.waiting_for("lab")) == (1, 0)
    await desk.go()
    await behind.is_in.wait()
    await asyncio.gather(either.go(), behind.go())
    assert is_empty(gate)


async def test_a_free_slot_in_the_second_line_is_taken_at_once():
    gate = gate_of({"desk": 1, "lab": 1})
    desk = Visit(gate)
    either = Visit(gate, ["desk", "lab"])
    await settled()
    assert either.backend == "lab"
    assert gate.waiting_for("desk") == 0
    await asyncio.gather(desk.go(), either.go())
    assert is_empty(gate)


async def test_two_slots_that_become_free_at_once_are_not_both_given_to_one():
    gate = gate_of({"desk": 1, "lab": 1})
    desk, lab = Visit(gate), Visit(gate, ["lab"])
    either, behind = Visit(gate, ["desk", "lab"]), Visit(gate, ["lab"])
    await until(lambda: len(gate.waiting) == 3)
    desk.may_go.set()
    lab.may_go.set()
    await either.is_in.wait()
    await behind.is_in.wait()
    assert (either.backend, behind.backend) == ("desk", "lab")
    await asyncio.gather(either.go(), behind.go())
    assert is_empty(gate)


async def test_only_when_every_line_refuses_the_request_is_refused():
    gate = gate_of({"desk": 1, "lab": 1}, max_depth=1)
    visits = [Visit(gate), Visit(gate)]
    await until(lambda: gate.waiting_for("desk") == 1)
    visits += [Visit(gate, ["lab"]), Visit(gate, ["desk", "lab"])]
    await until(lambda: gate.waiting_for("lab") == 1)
    with pytest.raises(QueueFull):
        await Visit(gate, ["desk", "lab"]).task
    for visit in visits:
        await visit.leave()
    assert is_empty(gate)


async def test_a_look_that_finds_more_slots_lets_more_in():
    gate = Gate([LaneSpec("desk", (Room("desk", 1),))])
    visits = [Visit(gate) for _ in range(4)]
    await until(lambda: gate.waiting_for("desk") == 3)
    gate.looked("desk", slots=3, loaded=())
    await settled()
    assert sum(visit.is_in.is_set() for visit in visits) == 3
    for visit in visits:
        await visit.leave()
    assert is_empty(gate)


async def test_what_the_settings_say_is_not_unlearned():
    gate = gate_of({"desk": 1})
    visits = [Visit(gate), Visit(gate)]
    gate.looked("desk", slots=8, loaded=())
    await settled()
    assert gate.waiting_for("desk") == 1
    for visit in visits:
        await visit.leave()


async def test_a_grant_that_needs_a_load_says_so():
    room = Room("desk", 1, per_model=True, swaps=True)
    gate = Gate([LaneSpec("desk", (room,))])
    gate.looked("desk", slots=None, loaded=["a"])
    warm, cold = Visit(gate, model="a"), Visit(gate, model="b")
    await settled()
    assert (warm.is_in.is_set(), warm.load, cold.is_in.is_set()) == (True, False, False)
    await warm.go()
    await cold.is_in.wait()
    assert cold.load
    await cold.go()
    assert is_empty(gate)


async def test_time_alone_grants_what_the_residency_of_a_model_held_back():
    room = Room("desk", 1, per_model=True, swaps=True)
    gate = Gate([LaneSpec("desk", (room,), Limits(min_residency_s=0.03))])
    gate.looked("desk", slots=None, loaded=["z"])
    first = Visit(gate, model="a")
    await first.is_in.wait()
    visits = [Visit(gate, model="a"), Visit(gate, model="b", priority=Priority.INTERACTIVE)]
    await until(lambda: gate.waiting_for("desk") == 2)
    await first.go()
    await visits[0].is_in.wait()
    await visits[0].go()
    await visits[1].is_in.wait()
    await visits[1].go()
    assert is_empty(gate)


async def test_a_place_in_line_is_known_while_one_waits_and_no_longer():
    gate = gate_of({"desk": 1})
    first, second, third = Visit(gate), Visit(gate), Visit(gate)
    await until(lambda: gate.waiting_for("desk") == 2)
    assert first.stay.standing() is None
    standing = third.stay.standing()
    assert standing is not None
    assert standing.position == 2
    assert standing.eta_s > 0
    for visit in (second, first, third):
        await visit.leave()
    assert third.stay.standing() is None
    assert is_empty(gate)


class Seen:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.admissions: list[tuple[str, Priority]] = []
        self.waits: list[float] = []
        self.refusals: list[tuple[str, str]] = []

    def admitted(self, backend, priority, waited_s):
        self.admissions.append((backend, priority))
        self.waits.append(waited_s)

    def refused(self, backend, reason):
        self.refusals.append((backend, reason))


async def test_waits_and_refusals_are_told_to_the_watcher():
    seen = Seen()
    gate = gate_of({"desk": 1}, watcher=seen, max_wait_s=2 * SOON_S, max_depth=1)
    first, second = Visit(gate, priority=Priority.BATCH), Visit(gate)
    await until(lambda: gate.waiting_for("desk") == 1)
    assert gate.counts() == {("desk", Priority.NORMAL): 1}
    with pytest.raises(QueueFull):
        await Visit(gate).task
    await asyncio.wait((second.task,))
    await first.go()
    assert seen.admissions == [("desk", Priority.BATCH)]
    assert seen.refusals == [("desk", "full"), ("desk", "max_wait")]
    assert gate.counts() == {("desk", Priority.NORMAL): 0}
    assert isinstance(second.task.exception(), QueueFull)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.lists(
        st.tuples(st.sampled_from(["one", "other", "both", "go", "leave", "go and leave"]), st.integers(0, 99)),
        max_size=30,
    ),
)
def test_whatever_happens_the_limit_holds_and_all_slots_come_back(limit, steps):
    asyncio.run(_play(limit, steps))


WHERE = {"one": ["desk"], "other": ["lab"], "both": ["desk", "lab"]}


async def _play(limit: int, steps: list[tuple[str, int]]) -> None:
    gate = gate_of({"desk": limit, "lab": limit})
    visits: list[Visit] = []
    for step, which in steps:
        if step in WHERE:
            visits.append(Visit(gate, WHERE[step]))
        elif visits:
            await _ending(visits, step, which)
        await settled()
        for backend in ("desk", "lab"):
            inside = [visit for visit in visits if visit.backend == backend]
            waiting = [visit for visit in visits if not visit.backend and backend in _backends(visit)]
            assert gate.in_flight(backend) == len(inside) <= limit
            assert gate.waiting_for(backend) == len(waiting)
            assert not waiting or len(inside) == limit
    for visit in visits:
        await visit.leave()
    assert is_empty(gate)


def _backends(visit: Visit) -> set[str]:
    return {claim.backend for claim in visit.stay.claims}


async def _ending(visits: list[Visit], step: str, which: int) -> None:
    visit = visits.pop(which % len(visits))
    if step == "go and leave" and visit.is_in.is_set():
        visit.may_go.set()
        for _ in range(which % 3):
            await asyncio.sleep(0)
        if visits:
            await visits.pop(which % len(visits)).leave()  # maybe in the very moment of its turn
        await asyncio.wait((visit.task,))
        return
    ending: Awaitable[None] = visit.go() if step == "go" and visit.is_in.is_set() else visit.leave()
    await ending

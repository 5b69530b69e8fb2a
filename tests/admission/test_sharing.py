"""Launched backends of one lane: requests for one model are served together, and memory decides who goes."""

from collections.abc import Set as AbstractSet

import pytest

from router.admission.claims import Claim, Granted, Limits, Priority, Queued
from router.admission.gate import Gate, Stay
from router.admission.limits import LaneSpec, Room
from router.admission.scheduler import Lane

NAMES = frozenset({"one", "two", "three"})


def room_for(count: int):
    def fits(names: AbstractSet[str]) -> bool:
        return len(names) <= count

    return fits


def lane(count: int = 1, **limits) -> Lane:
    given = {"per_backend": dict.fromkeys(NAMES, 1), "min_residency_s": 15, "max_wait_s": 120} | limits
    return Lane(Limits(sharing=NAMES, fits=room_for(count), **given))


def claim(ticket: int, backend: str, *, at: float = 0.0, priority: Priority = Priority.NORMAL, model: str = "any"):
    return Claim(ticket, backend, model, "", priority, at)


def test_the_first_request_starts_it_whatever_it_calls_the_model():
    lane_ = lane()
    assert lane_.ask(claim(1, "one", model="m"), 0) == Granted(load=True)
    lane_.leave(1, 1)
    assert lane_.ask(claim(2, "one", model="another name"), 2) == Granted(load=False)


def test_alternating_requests_are_served_model_by_model():
    lane_, order, loads = lane(), [], 0
    first = lane_.ask(claim(0, "one"), 0)
    assert first == Granted(load=True)
    running = [claim(0, "one")]
    for ticket in range(1, 30):
        assert isinstance(lane_.ask(claim(ticket, ("one", "two")[ticket % 2]), 0), Queued)
    now = 0.0
    while running:
        now += 0.5
        done = running.pop()
        order.append(done.backend)
        loads += lane_.loads(done.ticket)
        running += lane_.leave(done.ticket, now)
    assert len(order) == 30
    assert loads == 2
    assert order == sorted(order)


def test_nobody_starts_where_another_generates_that_would_have_to_go():
    lane_ = lane()
    lane_.ask(claim(1, "one"), 0)
    assert isinstance(lane_.ask(claim(2, "two"), 1), Queued)
    assert lane_.advance(100) == ()
    (granted,) = lane_.leave(1, 101)
    assert granted.ticket == 2
    assert lane_.loads(2)


def test_what_fits_beside_the_others_starts_at_once():
    lane_ = lane(2)
    assert lane_.ask(claim(1, "one"), 0) == Granted(load=True)
    assert lane_.ask(claim(2, "two"), 0) == Granted(load=True)
    assert isinstance(lane_.ask(claim(3, "three"), 0), Queued)


def test_a_third_model_takes_the_place_of_the_idle_one_although_others_wait_for_the_busy_one():
    lane_ = lane(2)
    for ticket, backend in ((1, "two"), (2, "one")):
        lane_.ask(claim(ticket, backend), 0)
    lane_.leave(1, 1)
    assert isinstance(lane_.ask(claim(3, "one"), 2), Queued)
    assert lane_.ask(claim(4, "three"), 3) == Granted(load=True)


def test_an_older_wish_for_another_model_is_served_once_it_is_overdue():
    lane_ = lane()
    lane_.ask(claim(1, "one"), 0)
    lane_.ask(claim(2, "two"), 0)
    ticket, now = 2, 0.0
    while now < 100:
        now += 5
        ticket += 1
        lane_.ask(claim(ticket, "one", at=now), now)
        running = next(run for run in range(1, ticket + 1) if run in lane_._running)
        granted = lane_.leave(running, now + 1)
        if any(each.backend == "two" for each in granted):
            break
    assert 40 <= now <= 60, "a normal request is overdue after a third of the longest wait"


def test_a_process_that_ended_by_itself_has_to_be_started_again():
    lane_ = lane()
    lane_.ask(claim(1, "one"), 0)
    lane_.running("one", 0, is_running=True)
    lane_.leave(1, 1)
    lane_.running("one", 2, is_running=False)
    assert lane_.ask(claim(2, "two"), 3) == Granted(load=True)
    lane_.leave(2, 4, served=False)
    assert lane_.ask(claim(3, "one"), 5) == Granted(load=True)


def test_what_a_process_that_was_to_start_did_not_take_is_free_again():
    lane_ = lane()
    lane_.ask(claim(1, "one"), 0)
    lane_.leave(1, 1, served=False)
    assert lane_.ask(claim(2, "one"), 2) == Granted(load=True), "nobody said that it runs"
    lane_.running("one", 2, is_running=True)
    lane_.leave(2, 3, served=False)
    assert lane_.ask(claim(3, "one"), 4) == Granted(load=False)


def test_the_time_to_go_counts_those_who_have_to_be_done_before():
    one_at_a_time, side_by_side = lane(1), lane(3)
    for lane_ in (one_at_a_time, side_by_side):
        lane_.ask(claim(1, "one"), 0)
        for ticket in range(2, 8):
            lane_.ask(claim(ticket, "one"), 0)
        lane_.ask(claim(8, "two"), 0)
    assert (one_at_a_time.eta(8, 0) or 0) > (one_at_a_time.eta(7, 0) or 0)
    assert side_by_side.eta(8, 0) is None, "it runs"


@pytest.mark.anyio
async def test_what_is_learned_of_memory_lets_others_in():
    spec = LaneSpec("gpu", tuple(Room(name, 1, launched=True) for name in sorted(NAMES)))
    gate = Gate([spec], max_wait_s=5)
    gate.fitting("one", room_for(1))
    async with gate.admit(claim(gate.ticket(), "one")):
        waiting = gate.admit(claim(gate.ticket(), "two"))
        gate.ask(waiting)
        assert waiting.admitted is None
        gate.fitting("two", room_for(2))
        assert waiting.admitted is not None
        assert waiting.admitted.load
        gate.leave(waiting)


def spec(name: str, *backends: str, launched: bool = True) -> LaneSpec:
    return LaneSpec(name, tuple(Room(backend, 4, launched=launched) for backend in backends))


def one_at_a_time(names: AbstractSet[str]) -> bool:
    return len(names) <= 1


async def asked_for(gate: Gate, backend: str) -> Stay:
    """A stay that has been asked for; it is admitted, or it waits."""
    stay = gate.admit(Claim(gate.ticket(), backend, "m", "", Priority.NORMAL, 0.0))
    gate.ask(stay)
    return stay


@pytest.mark.anyio
async def test_a_process_that_joins_a_lane_shares_its_memory_from_then_on():
    gate = Gate((spec("one", "one"), spec("two", "two")))
    gate.running("one", is_running=True)
    first = await asked_for(gate, "one")
    gate.become((spec("gpu", "one", "two"),), max_wait_s=120)
    gate.running("one", is_running=True)
    gate.fitting("one", one_at_a_time)
    second = await asked_for(gate, "two")
    assert (first.admitted is not None, second.admitted) == (True, None)
    gate.leave(first)
    assert second.admitted is not None
    assert second.admitted.load
    gate.leave(second)


@pytest.mark.anyio
async def test_a_process_that_leaves_a_lane_makes_room_there_and_is_alone_with_its_own():
    gate = Gate((spec("gpu", "one", "two"),))
    gate.fitting("one", one_at_a_time)
    first, second = await asked_for(gate, "one"), await asked_for(gate, "two")
    assert second.admitted is None
    gate.become((spec("gpu", "two"), spec("one", "one")), max_wait_s=120)
    assert second.admitted is not None
    third = await asked_for(gate, "one")
    assert third.admitted is not None
    for stay in (first, second, third):
        gate.leave(stay)


@pytest.mark.anyio
async def test_a_process_that_is_no_longer_run_by_the_router_takes_no_memory_of_the_lane():
    gate = Gate((spec("gpu", "one", "two"),))
    gate.fitting("one", one_at_a_time)
    first, second = await asked_for(gate, "one"), await asked_for(gate, "two")
    assert second.admitted is None
    rooms = (Room("one", 4), Room("two", 4, launched=True))
    gate.become((LaneSpec("gpu", rooms),), max_wait_s=120, moved=("one",))
    assert second.admitted is not None
    gate.become((spec("gpu", "one", "two"),), max_wait_s=120)
    third = await asked_for(gate, "one")
    assert third.admitted is None
    for stay in (first, second, third):
        gate.leave(stay)

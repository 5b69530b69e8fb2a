"""What is kept about users and service times: it fades, it is bounded, and guesses come from it."""

import time

import pytest

from router.admission.claims import Claim, Limits, Priority
from router.admission.demand import MAX_MODELS
from router.admission.fairness import HALF_LIFE_S, MAX_USERS, Shares
from router.admission.pace import FIRST_GUESS_S, Pace
from router.admission.scheduler import Lane
from tests.admission.lanes import BOX, Scene


def test_half_of_what_was_used_is_forgotten_after_the_half_life():
    shares = Shares()
    shares.started("u", 0)
    shares.ended("u", 0, 100)
    assert shares.used("u", 100 + HALF_LIFE_S) == pytest.approx(50)


def test_what_was_used_fades_the_same_over_weeks():
    shares = Shares()
    for start in range(0, 40 * 86_400, 86_400):
        shares.started("u", start)
        shares.ended("u", start, start + 10)
        assert shares.used("u", start + 10) == pytest.approx(10)


def test_what_runs_counts_from_its_start_and_a_second_more():
    shares = Shares()
    shares.started("u", 100)
    shares.started("u", 110)
    assert shares.used("u", 120) == pytest.approx(20 + 1 + 10 + 1)


def test_only_so_many_users_are_remembered_and_the_heavy_ones_longest():
    shares = Shares()
    for user in ["heavy", *(f"u{n}" for n in range(3 * MAX_USERS))]:
        shares.started(user, 0)
        shares.ended(user, 0, 100 if user == "heavy" else 1)
    assert shares.used("heavy", 100) > 99
    assert len(shares._used) <= MAX_USERS


def test_service_times_follow_what_happens():
    pace = Pace()
    assert pace.service_s(BOX, "m") == FIRST_GUESS_S
    for _ in range(50):
        pace.ran(BOX, "m", 2, load=False)
    assert pace.service_s(BOX, "m") == pytest.approx(2)
    assert pace.service_s(BOX, "never seen") == pytest.approx(2)


def test_a_load_is_counted_apart():
    pace = Pace()
    pace.ran(BOX, "m", 2, load=False)
    pace.ran(BOX, "m", 12, load=True)
    assert (pace.service_s(BOX, "m"), pace.load_s(BOX)) == (2, 10)


def test_the_time_to_go_is_what_is_ahead_by_slots():
    scene = Scene(max_parallel=2)
    for name in "ab":
        scene.ask(name)
    scene.now += 4
    scene.leave("a")
    scene.leave("b")
    for name in "cdefg":
        scene.ask(name)
    scene.now += 1
    entries = scene.lane.entries(scene.now)
    assert [(entry.claim.alias, entry.position, entry.waited_s, entry.eta_s) for entry in entries] == [
        ("e", 1, 1, 3),
        ("f", 2, 1, 5),
        ("g", 3, 1, 7),
    ]
    assert scene.lane.eta(scene.ticket("f"), scene.now) == 5
    assert scene.lane.eta(scene.ticket("c"), scene.now) is None


def test_the_order_shown_is_the_order_that_comes():
    scene = Scene(max_parallel=1)
    scene.ask("first", user="heavy")
    scene.now += 2
    scene.leave("first")
    scene.ask("run", user="heavy")
    for name in ("b1", "n1", "n2", "i1"):
        scene.ask(name, user="heavy", kind=name[0])
    for name in ("b2", "n3", "n4"):
        scene.ask(name, user="light", kind=name[0])
    shown = [entry.claim.alias for entry in scene.lane.entries(scene.now)]
    assert shown == scene.drain(service_s=2) == ["i1", "n3", "n4", "n1", "n2", "b2", "b1"]


def test_a_refused_client_comes_back_when_a_quarter_is_done():
    scene = Scene(max_parallel=1)
    scene.ask("a")
    scene.now += 2
    scene.leave("a")
    for n in range(41):
        scene.ask(f"{n}", user="")
    assert scene.lane.retry_after(scene.now) == pytest.approx(20)


@pytest.mark.parametrize(("service_s", "after_s"), [(0.001, 1), (1_000, 60)])
def test_the_time_to_come_back_is_bounded(service_s, after_s):
    scene = Scene(max_parallel=1)
    scene.ask("a")
    scene.now += service_s
    scene.leave("a")
    scene.ask("b")
    scene.ask("c")
    assert scene.lane.retry_after(scene.now) == after_s


def test_requests_that_failed_teach_no_speed():
    scene = Scene(max_parallel=1)
    scene.ask("a")
    scene.leave("a", served=False)
    scene.ask("b")
    scene.ask("c")
    assert scene.lane.eta(scene.ticket("c"), scene.now) == FIRST_GUESS_S


def test_names_that_clients_make_up_take_no_memory():
    lane = Lane(Limits(max_parallel=1))
    for ticket in range(5 * MAX_MODELS):
        lane.ask(Claim(ticket, BOX, f"m{ticket}", f"u{ticket}", Priority.NORMAL, 0), 0)
        lane.leave(ticket, 1)
    assert len(lane._backends[BOX].demands) <= MAX_MODELS


def test_users_who_wait_no_more_leave_no_turn_behind():
    scene = Scene(max_parallel=1, max_wait_s=6)
    for n in range(40):
        scene.ask(f"{n}", user=f"u{n % 10}")
    scene.drain(service_s=10)
    assert scene.lane._line._last_turn == {}


def test_asking_and_leaving_cost_microseconds():
    """Ten times what they take on a quiet machine; the best of many tries."""
    lane = Lane(Limits(per_backend={BOX: 1}, per_model={BOX: 1}, reloading=frozenset({BOX})))
    claim = Claim(0, BOX, "m", "u", Priority.NORMAL, 0)
    assert _best_s(lambda: (lane.ask(claim, 0), lane.leave(0, 1))) < 40e-6


def test_a_grant_with_a_hundred_waiting_costs_a_tenth_of_a_millisecond():
    """Three times that is let pass, for a busy machine."""
    scene = Scene(per_backend={BOX: 1}, per_model={BOX: 1}, reloading=frozenset({BOX}))
    for n in range(101):
        scene.ask(f"{n}", user=f"u{n % 20}", model=f"m{n % 5}", kind="inb"[n % 3])
    assert scene.lane.waiting() == 100
    assert _best_s(lambda: scene.lane.leave(next(iter(scene.lane._running)), scene.now), tries=20) < 300e-6


def _best_s(act, *, tries=60):
    times: list[float] = []
    for _ in range(tries):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return min(times)

"""Who may run: limits, classes, shares, bounds, drains."""

import pytest

from router.admission.claims import Granted, Limits, Queued, Refused
from tests.admission.lanes import BOX, Scene


def test_without_a_limit_everybody_runs():
    scene = Scene()
    assert {scene.ask(f"{n}") for n in range(1_000)} == {Granted()}
    assert scene.lane.in_flight() == scene.lane.in_flight(BOX) == scene.lane.in_flight(BOX, "m") == 1_000


@pytest.mark.parametrize("limits", [{"max_parallel": 1}, {"per_backend": {BOX: 1}}, {"per_model": {BOX: 1}}])
def test_over_a_limit_requests_wait_and_run_in_order_of_arrival(limits):
    scene = Scene(**limits)
    assert [scene.ask(name) for name in "abc"] == [Granted(), Queued(), Queued()]
    assert [scene.lane.position(scene.ticket(name), scene.now) for name in "abc"] == [None, 1, 2]
    assert scene.drain() == ["b", "c"]


def test_a_claim_passes_those_who_may_not_run():
    scene = Scene(per_model={BOX: 1})
    scene.ask("a", model="busy")
    assert scene.ask("b", model="busy") == Queued()
    assert scene.ask("c", model="free") == Granted()


def test_backends_of_one_lane_share_its_limit():
    scene = Scene(max_parallel=1)
    scene.ask("a", backend="one")
    assert scene.ask("b", backend="two") == Queued()
    assert scene.leave("a") == ["b"]


def test_classes_go_in_order():
    scene = Scene(max_parallel=1)
    scene.ask("first")
    for name in ("b1", "n1", "i1", "b2", "n2", "i2"):
        scene.ask(name, kind=name[0])
    assert scene.drain() == ["i1", "i2", "n1", "n2", "b1", "b2"]


def test_the_user_who_used_least_lately_goes_first():
    scene = Scene(max_parallel=1)
    scene.ask("first", user="heavy")
    for name in ("h1", "h2", "h3"):
        scene.ask(name, user="heavy")
    scene.ask("l1", user="light")
    scene.ask("l2", user="light")
    assert scene.drain()[:3] == ["l1", "h1", "l2"]


def test_slots_that_become_free_together_go_round():
    scene = Scene(max_parallel=3)
    scene.lane.pause(BOX)
    for name in ("x1", "x2", "x3"):
        scene.ask(name, user="x")
    for name in ("y1", "y2"):
        scene.ask(name, user="y")
    assert scene.granted(scene.lane.resume(BOX, scene.now)) == ["x1", "y1", "x2"]


def test_what_a_user_used_fades():
    scene = Scene(max_parallel=1)
    scene.ask("a", user="once")
    scene.now += 100
    scene.leave("a")
    scene.now += 3_600
    scene.ask("b", user="lately")
    scene.now += 10
    scene.ask("c", user="lately")
    scene.ask("d", user="once")
    assert scene.drain() == ["d", "c"]


@pytest.mark.parametrize(("kind", "overdue_s"), [("i", 20), ("n", 40), ("b", 60)])
def test_who_waits_too_long_gets_the_next_turn(kind, overdue_s):
    scene = Scene(max_parallel=1, max_wait_s=120)
    scene.ask("first", user="light")
    scene.now += 30
    scene.leave("first")
    scene.ask("run", user="heavy")
    scene.ask("old", kind=kind, user="heavy")
    scene.now += overdue_s
    scene.ask("young", kind="i", user="light")
    assert scene.leave("run") == ["old"]


def test_who_waits_too_long_gets_every_other_turn_only():
    scene = Scene(max_parallel=1, max_wait_s=120)
    scene.ask("run")
    for n in range(4):
        scene.ask(f"b{n}", kind="b", user="batch")
    scene.now += 60
    for n in range(4):
        scene.ask(f"i{n}", kind="i", user="person")
    assert scene.drain() == ["b0", "i0", "b1", "i1", "b2", "i2", "b3", "i3"]


def test_users_who_wait_too_long_take_turns():
    scene = Scene(max_parallel=1, max_wait_s=120)
    scene.ask("run")
    for n in range(3):
        scene.ask(f"flood{n}", kind="b", user="flood")
    scene.now += 5
    scene.ask("single", kind="b", user="single")
    scene.now += 60
    for n in range(3):
        scene.ask(f"i{n}", kind="i", user="person")
    assert scene.drain() == ["flood0", "i0", "single", "i1", "flood1", "i2", "flood2"]


def test_a_request_that_moves_here_keeps_its_arrival():
    scene = Scene(max_parallel=1)
    scene.ask("run")
    scene.ask("here")
    scene.ask("moved", at=scene.now - 10)
    assert scene.drain() == ["moved", "here"]


def test_a_full_queue_refuses_with_a_time_to_come_back():
    scene = Scene(max_parallel=1, max_depth=1)
    scene.ask("a", user="x")
    scene.ask("b", user="y")
    verdict = scene.ask("c", user="z")
    assert isinstance(verdict, Refused)
    assert (verdict.reason, 1 <= verdict.retry_after_s <= 60) == ("full", True)
    assert scene.lane.waiting() == 1


def test_a_full_queue_does_not_refuse_what_can_run_at_once():
    scene = Scene(per_model={BOX: 1}, max_depth=1)
    scene.ask("a", model="busy")
    scene.ask("b", model="busy")
    assert scene.ask("c", model="free") == Granted()


def test_a_user_may_not_fill_the_queue_alone():
    scene = Scene(max_parallel=1, max_per_user=2)
    assert [getattr(scene.ask(f"{n}"), "reason", None) for n in range(4)] == [None, None, None, "user_share"]
    assert scene.ask("other", user="other") == Queued()


def test_a_full_queue_is_the_fault_of_who_fills_it():
    scene = Scene(max_parallel=1, max_depth=4)
    scene.ask("run")
    for n in range(3):
        scene.ask(f"m{n}", user="many")
    scene.ask("few", user="few")
    many, few = scene.ask("m3", user="many"), scene.ask("f2", user="few")
    assert isinstance(many, Refused)
    assert isinstance(few, Refused)
    assert (many.reason, few.reason) == ("user_share", "full")


def test_nobody_in_particular_has_no_share_to_exhaust():
    scene = Scene(max_parallel=1, max_per_user=1, max_depth=3)
    reasons = [getattr(scene.ask(f"{n}", user=""), "reason", None) for n in range(5)]
    assert reasons == [None, None, None, None, "full"]


def test_who_leaves_the_queue_is_forgotten():
    scene = Scene(max_parallel=1)
    for name in "abc":
        scene.ask(name)
    assert scene.leave("b") == []
    assert scene.leave("a") == ["c"]


def test_leaving_twice_frees_one_slot_only():
    scene = Scene(max_parallel=1)
    for name in "abc":
        scene.ask(name)
    assert scene.leave("a") == ["b"]
    assert scene.leave("a") == []
    assert scene.lane.in_flight() == 1


def test_a_paused_backend_gets_nothing_new():
    scene = Scene(max_parallel=2)
    scene.ask("a")
    scene.lane.pause(BOX)
    assert scene.ask("b") == Queued()
    assert scene.leave("a") == []
    assert scene.ask("elsewhere", backend="other") == Granted()
    assert scene.granted(scene.lane.resume(BOX, scene.now)) == ["b"]


def test_a_larger_limit_grants_at_once_and_a_smaller_one_takes_nothing_back():
    scene = Scene(max_parallel=1)
    for name in "abcd":
        scene.ask(name)
    assert scene.granted(scene.lane.set_limits(Limits(max_parallel=3), scene.now)) == ["b", "c"]
    assert scene.lane.set_limits(Limits(max_parallel=1), scene.now) == ()
    assert (scene.leave("a"), scene.leave("b"), scene.leave("c")) == ([], [], ["d"])


def test_limits_may_come_and_go_while_requests_run():
    scene = Scene()
    scene.ask("a")
    scene.lane.set_limits(Limits(per_backend={BOX: 1}), scene.now)
    assert scene.ask("b") == Queued()
    assert scene.granted(scene.lane.set_limits(Limits(), scene.now)) == ["b"]

"""Backends that swap models: few loads, none in the way of a running generation, nobody waits for ever."""

from router.admission.claims import Granted, Queued
from tests.admission.lanes import BOX, Scene


def swapping(**limits):
    return Scene(**({"per_backend": {BOX: 1}} | limits), reloading=frozenset({BOX}), min_residency_s=15)


def test_requests_for_the_loaded_model_go_before_a_load():
    scene = swapping()
    for name in ("a1", "b1", "a2", "b2", "a3"):
        scene.ask(name, model=name[0])
    assert scene.drain() == ["a2", "a3", "b1", "b2"]
    assert scene.loads == 2


def test_a_backend_that_does_not_swap_takes_them_as_they_come():
    scene = Scene(per_backend={BOX: 1})
    for name in ("a1", "b1", "a2", "b2"):
        scene.ask(name, model=name[0])
    assert scene.drain() == ["b1", "a2", "b2"]


def test_the_first_request_loads_and_says_so():
    scene = swapping(per_backend={BOX: 2})
    assert scene.ask("a1", model="a") == Granted(load=True)
    assert scene.ask("a2", model="a") == Granted()


def test_a_load_waits_for_what_runs():
    scene = swapping(per_backend={BOX: 2})
    scene.ask("a1", model="a")
    scene.ask("a2", model="a")
    assert scene.ask("b1", model="b") == Queued()
    assert scene.leave("a1") == []
    assert scene.leave("a2") == ["b1"]


def test_an_idle_backend_loads_at_once():
    scene = swapping()
    scene.ask("a1", model="a")
    scene.leave("a1")
    assert scene.ask("b1", model="b") == Granted(load=True)


def test_models_seen_side_by_side_need_not_wait_for_each_other():
    scene = swapping(per_backend={BOX: 2})
    scene.lane.resident(BOX, ["a", "b"], scene.now)
    scene.lane.resident(BOX, ["a"], scene.now)
    assert scene.ask("a1", model="a") == Granted()
    assert scene.ask("b1", model="b") == Granted(load=True)
    scene.leave("a1")
    assert scene.ask("a2", model="a") == Granted()


def test_a_probe_tells_what_is_loaded():
    scene = swapping()
    scene.lane.resident(BOX, ["b"], scene.now)
    scene.ask("b1", model="b")
    scene.ask("a1", model="a")
    scene.ask("b2", model="b")
    assert scene.drain() == ["b2", "a1"]


def test_a_probe_older_than_a_load_does_not_undo_it():
    scene = swapping(per_backend={BOX: 2})
    scene.ask("b1", model="b")
    scene.lane.resident(BOX, ["a"], scene.now)
    assert scene.ask("a1", model="a") == Queued()
    assert scene.ask("b2", model="b") == Granted()


def test_a_probe_that_shows_room_lets_the_waiting_in():
    scene = swapping(per_backend={BOX: 2})
    scene.ask("b1", model="b")
    scene.ask("a1", model="a")
    assert scene.granted(scene.lane.resident(BOX, ["a", "b"], scene.now)) == ["a1"]


def test_a_load_that_failed_is_not_taken_for_loaded():
    scene = swapping()
    scene.ask("b1", model="b")
    scene.leave("b1", served=False)
    assert scene.ask("b2", model="b") == Granted(load=True)


def test_a_better_class_gets_its_model_when_the_loaded_one_has_had_its_time():
    scene = swapping()
    scene.ask("a0", model="a", kind="b")
    scene.ask("a1", model="a", kind="b")
    scene.ask("a2", model="a", kind="b")
    scene.ask("i1", model="b", kind="i")
    scene.now += 10
    assert scene.leave("a0") == ["a1"]
    scene.now += 5
    assert scene.leave("a1") == ["i1"]


def test_a_better_class_that_needs_a_load_keeps_others_from_coming_in_between():
    scene = swapping(per_backend={BOX: 2})
    scene.ask("a0", model="a", kind="b")
    scene.ask("a1", model="a", kind="b")
    scene.ask("a2", model="a", kind="b")
    scene.ask("i1", model="b", kind="i")
    scene.now += 15
    assert scene.leave("a0") == []
    assert scene.leave("a1") == ["i1"]


def test_who_waits_too_long_for_a_load_gets_it_though_the_loaded_model_is_wanted():
    scene = swapping()
    scene.ask("a0", model="a")
    scene.ask("b1", model="b")
    for n in range(1, 6):
        scene.ask(f"a{n}", model="a")
        scene.now += 10
        granted = scene.leave(f"a{n - 1}")
        if granted == ["b1"]:
            break
    assert granted == ["b1"]
    assert scene.now == 1_000 + 40


def test_a_swap_that_comes_due_without_an_event_is_announced():
    scene = swapping(max_parallel=2, per_backend={BOX: 2}, per_model={BOX: 1})
    scene.ask("a0", model="a", kind="b")
    scene.ask("a1", model="a", kind="b")
    scene.ask("i1", model="b", kind="i")
    assert scene.lane.due(scene.now) == 1_015
    assert scene.wait(15) == []
    assert scene.leave("a0") == ["i1"]


def test_nothing_is_due_when_nobody_waits_or_no_slot_is_free():
    scene = Scene(max_parallel=1, reloading=frozenset({BOX}))
    assert scene.lane.due(scene.now) is None
    scene.ask("a1", model="a")
    scene.ask("b1", model="b")
    assert scene.lane.due(scene.now) is None


def test_a_claim_that_is_overdue_may_come_due_without_an_event():
    scene = swapping(per_backend={BOX: 2}, per_model={BOX: 1})
    for seen in (["a", "b"], ["a", "c"]):
        scene.lane.resident(BOX, seen, scene.now)
    scene.ask("a0", model="a")
    scene.ask("a1", model="a")
    assert scene.ask("b1", model="b") == Queued()
    assert scene.wait(39) == []
    assert scene.wait(1) == ["b1"]


def test_a_load_beside_others_does_not_renew_their_time():
    scene = swapping(per_backend={BOX: 3}, per_model={BOX: 1})
    scene.lane.resident(BOX, ["a", "c"], scene.now)
    scene.lane.resident(BOX, [], scene.now)
    scene.ask("a0", model="a", kind="b")
    scene.ask("a1", model="a", kind="b")
    scene.now += 10
    assert scene.ask("c0", model="c", kind="b") == Granted(load=True)
    scene.leave("c0")
    scene.ask("i", model="large", kind="i")
    scene.now += 5
    assert scene.leave("a0") == ["i"]


def test_overdue_models_come_due_at_their_part_of_the_longest_wait():
    scene = Scene(
        per_backend={BOX: 2},
        per_model={BOX: 1},
        reloading=frozenset({BOX}),
        min_residency_s=1_000,
    )
    for seen in (["a", "b"], ["a", "c"]):
        scene.lane.resident(BOX, seen, scene.now)
    scene.lane.resident(BOX, [], scene.now)
    scene.ask("a0", model="a")
    scene.ask("c0", model="c")
    scene.leave("c0")
    scene.ask("a1", model="a")
    scene.ask("b1", model="b", at=scene.now - 35)
    scene.ask("d1", model="d", at=scene.now - 35)
    assert scene.wait(29) == []
    assert scene.wait(1) == ["b1"]


def test_a_probe_after_the_load_tells_that_the_model_is_gone():
    scene = swapping()
    scene.ask("b1", model="b")
    scene.leave("b1")
    scene.lane.resident(BOX, [], scene.now)
    assert scene.ask("b2", model="b") == Granted(load=True)


def test_three_models_seen_in_pairs_are_not_taken_to_fit_together():
    scene = swapping(per_backend={BOX: 3})
    for seen in (["a", "b"], ["b", "c"], ["a", "c"], ["a", "b"]):
        scene.lane.resident(BOX, seen, scene.now)
    scene.ask("a0", model="a")
    scene.ask("b0", model="b")
    assert scene.ask("c0", model="c") == Queued()


def test_overdue_models_share_half_of_the_longest_wait():
    scene = Scene(per_backend={BOX: 1}, reloading=frozenset({BOX}), min_residency_s=1_000, max_wait_s=120)
    scene.ask("a0", model="a", user="u0")
    scene.ask("b0", model="b", user="u1")
    scene.ask("c0", model="c", user="u2")
    loaded_at = {}
    for n in range(100):
        scene.ask(f"a{n + 1}", model="a", user="u0")
        scene.now += 2
        for name in scene.leave(next(iter(scene.running.values())).alias):
            loaded_at.setdefault(name[0], scene.now - 1_000)
    assert max(loaded_at["b"], loaded_at["c"]) < 120

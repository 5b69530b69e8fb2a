"""Phases of a process: what every piece of news makes of a snapshot."""

from hypothesis import given
from hypothesis import strategies as st

from router.processes.child import ALIVE, MAX_DELAY_S, STABLE_S, Child, Phase, delay_s


def loading(now: float = 0.0) -> Child:
    return Child("a").wanted(now).spawned(now).answered(1, now, is_ready=False)


def ready(now: float = 0.0) -> Child:
    return loading(now).answered(1, now, is_ready=True)


def test_news_of_an_earlier_start_change_nothing():
    again = ready().stopping(1, 5).exited(1, 2, "ended").wanted(3).spawned(3)
    assert again.answered(1, 4, is_ready=True) is again
    assert again.exited(1, 4, "ended") is again
    assert again.answered(2, 4, is_ready=True).phase is Phase.READY


def test_an_answer_after_the_stop_was_asked_for_does_not_make_it_ready():
    stopping = loading().stopping(1, 5)
    assert stopping.answered(1, 2, is_ready=True) is stopping


def test_an_end_that_was_asked_for_is_no_crash():
    assert ready().stopping(1, 5).exited(1, 2, "was killed by SIGKILL").phase is Phase.STOPPED


def test_an_end_that_nobody_asked_for_is_one():
    child = ready().exited(1, 2, "exited with status 0")
    assert (child.phase, child.error, child.crashes, child.retry_at) == (Phase.CRASHED, "exited with status 0", 1, 2)


def test_the_end_of_one_that_hung_is_one_although_it_was_asked_for():
    child = loading().stopping(9, 5, failing="was not ready after 9 s").exited(1, 10, "was killed by SIGTERM")
    assert (child.phase, child.error) == (Phase.CRASHED, "was not ready after 9 s")


def test_a_load_that_runs_out_of_memory_is_tried_once_more_and_then_it_crashed():
    cramped = loading().exited(1, 2, "exited with status 1", out_of_memory=True)
    assert (cramped.phase, cramped.cramped, cramped.wanted_at, cramped.failures) == (Phase.STOPPED, True, 0, 0)
    again = cramped.spawned(3).exited(2, 4, "exited with status 1", out_of_memory=True)
    assert (again.phase, again.cramped, again.failures) == (Phase.CRASHED, False, 1)


def test_who_was_ready_for_long_begins_anew_with_the_delays():
    weary = Child("a", crashes=4).spawned(0).answered(1, 0, is_ready=True)
    assert weary.exited(1, STABLE_S - 1, "fell over").crashes == 5
    assert weary.exited(1, STABLE_S, "fell over").crashes == 1


def test_the_delays_grow_to_a_cap():
    assert [delay_s(crashes) for crashes in (1, 2, 3, 4, 5)] == [0, 1, 2, 4, 8]
    assert delay_s(1000) == MAX_DELAY_S


def test_the_last_one_who_waits_takes_the_wish_along_but_not_once_it_comes_up():
    assert Child("a").entered(1).left(2).wanted_at is None
    assert Child("a").entered(1).entered(1).left(2).wanted_at == 1
    assert Child("a").entered(1).spawned(1).left(2).wanted_at == 1
    assert Child("a").entered(1).spawned(1).stopping(1, 1).left(2).wanted_at is None


NEWS = st.sampled_from(["enter", "leave", "spawn", "load", "ready", "stop", "hang", "exit", "oom", "hand", "mute"])


@given(st.lists(NEWS, max_size=40))
def test_whatever_comes_the_counts_stay_true_and_only_spawning_starts(news):
    child, users, now = Child("a"), 0, 0.0
    for word in news:
        now += 1
        before = child
        match word:
            case "enter":
                child, users = child.entered(now), users + 1
            case "leave" if users:
                child, users = child.left(now), users - 1
            case "spawn" if not child.is_alive:
                child = child.spawned(now)
            case "load" | "ready":
                child = child.answered(child.start, now, is_ready=word == "ready")
            case "mute":
                child = child.silent(child.start)
            case "stop" | "hang" | "hand":
                child = child.stopping(now, 5, failing="hangs" if word == "hang" else "", by_hand=word == "hand")
            case "exit" | "oom":
                child = child.exited(child.start, now, "ended", out_of_memory=word == "oom")
        assert child.users == users
        assert (child.phase in ALIVE) <= (before.is_alive or word == "spawn")
        assert child.failures >= before.failures
        assert (child.phase is Phase.READY) <= (child.wanted_at is None)
        assert (child.missed > 0) <= (child.phase in {Phase.READY, Phase.STOPPING, Phase.STOPPED, Phase.CRASHED})
        assert child.is_alive or child.kill_at == float("inf")

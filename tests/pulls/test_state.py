"""How far a pull is, from what its server tells."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.canonical.library import PullStep
from router.errors import BackendFailed
from router.pulls.state import MAX_LAYERS, STALE_S, Pull, State

DIGESTS = ("sha256:aa", "sha256:bb")
STEPS = st.lists(
    st.one_of(
        st.builds(PullStep, st.sampled_from(["pulling manifest", "writing manifest"])),
        st.builds(
            PullStep,
            st.just("pulling aa"),
            st.sampled_from(DIGESTS),
            st.integers(-5, 1000),
            st.integers(-5, 1000),
        ),
    )
)


def pull() -> Pull:
    return Pull(id="pull_0", backend="desk", model="m", started_at=0.0)


def told(*steps: tuple[float, PullStep]) -> Pull:
    found = pull()
    for now, step in steps:
        found = found.told([step], now)
    return found


def layer(completed: int, total: int = 1000, digest: str = DIGESTS[0]) -> PullStep:
    return PullStep("pulling aa", digest, total, completed)


def test_layers_are_added_up_and_the_last_word_is_kept():
    found = told((0, PullStep("pulling manifest")), (1, layer(100)), (2, layer(50, 500, DIGESTS[1])), (3, layer(300)))
    assert (found.total, found.completed, found.percent) == (1500, 350, 23)
    assert (found.status, found.digest) == ("pulling aa", DIGESTS[0])
    assert told((0, layer(10)), (1, PullStep("writing manifest"))).digest == ""


def test_before_any_layer_is_known_nobody_knows_how_far_it_is():
    assert told((0, PullStep("pulling manifest"))).percent is None


def test_what_was_there_before_says_nothing_of_the_speed():
    found = told((0, layer(900)), (1, layer(910)), (2, layer(920)))
    assert found.pace.speed(2) == 10


def test_speed_follows_what_comes_and_is_forgotten_when_nothing_does():
    found = told((0, layer(0)), (1, layer(100)), (2, layer(300)))
    assert found.pace.speed(2) == 150
    assert found.pace.speed(2 + STALE_S + 1) is None
    assert found.stalled("waiting").pace.speed(2) is None


def test_all_of_a_model_is_there_once_it_is_done():
    found = told((0, layer(900))).ended(State.DONE, 5.0)
    assert (found.completed, found.ended_at, found.is_running) == (1000, 5.0, False)
    failed = told((0, layer(900))).ended(State.FAILED, 5.0, BackendFailed("no space left"))
    assert (failed.completed, failed.error.message) == (900, "no space left")


def test_a_server_that_tells_of_layers_without_end_has_failed():
    many = [layer(1, digest=f"sha256:{n}") for n in range(MAX_LAYERS)]
    full = pull().told(many, 0.0)
    assert len(full.told(many, 1.0).layers) == MAX_LAYERS
    for found, steps in ((full, [layer(1)]), (pull(), [*many, layer(1)])):
        with pytest.raises(BackendFailed, match="desk tells of more than 1,000 layers"):
            found.told(steps, 1.0)


def test_of_a_server_without_end_no_more_is_read_than_is_needed():
    endless = (layer(1, digest=f"sha256:{n}") for n in itertools.count())
    with pytest.raises(BackendFailed):
        pull().told(endless, 0.0)


@given(STEPS)
def test_it_does_not_matter_how_many_words_come_at_once(steps):
    one_by_one = pull()
    for step in steps:
        one_by_one = one_by_one.told([step], 1.0)
    assert pull().told(steps, 1.0) == one_by_one


@given(STEPS)
def test_whatever_is_told_there_is_never_more_than_all_of_it(steps):
    found, gained = pull(), 0
    for now, step in enumerate(steps):
        found = found.told([step], float(now))
        assert 0 <= found.completed <= found.total
        assert found.percent is None or 0 <= found.percent <= 100
        assert found.pace.gained >= gained
        assert (found.pace.speed(float(now)) or 0) >= 0
        gained = found.pace.gained

"""How fast a target has been lately."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.routing.catalog import Target
from router.routing.speed import HALF_LIFE_S, USUAL_ANSWER, Mean, Speeds

DESK = Target("desk", "m")

values = st.lists(st.tuples(st.floats(0.001, 1000), st.floats(0, 1000)), min_size=1, max_size=30)


@given(values)
def test_a_mean_stays_between_what_was_observed(observed):
    mean, now = Mean(), 0.0
    for value, pause in observed:
        now += pause
        mean.observe(value, now)
    assert min(value for value, _ in observed) <= mean.value * 1.000001
    assert mean.value <= max(value for value, _ in observed) * 1.000001


def test_what_is_new_counts_more_the_older_the_rest_is():
    soon, late = Mean(), Mean()
    for mean in (soon, late):
        mean.observe(1.0, 0.0)
    soon.observe(3.0, 1.0)
    late.observe(3.0, 20 * HALF_LIFE_S)
    assert soon.value == pytest.approx(2.0, abs=0.01)
    assert late.value == pytest.approx(3.0, abs=0.01)


def test_a_backend_that_has_become_slow_is_found_out_soon():
    mean = Mean()
    for at in range(100):
        mean.observe(1.0, at)
    for at in range(100, 120):
        mean.observe(10.0, at)
    assert mean.value > 7


def test_a_clock_that_goes_back_is_survived():
    mean = Mean()
    mean.observe(1.0, 100.0)
    mean.observe(3.0, 50.0)
    assert mean.value == pytest.approx(2.0)


def test_an_answer_takes_its_first_token_and_the_rest():
    speeds = Speeds()
    assert speeds.of(DESK) is None
    speeds.began(DESK, 2.0, now=1.0)
    assert speeds.of(DESK).answer_s == 2.0
    speeds.ended(DESK, 100.0, now=2.0)
    assert speeds.of(DESK).answer_s == pytest.approx(2.0 + USUAL_ANSWER / 100.0)


def test_no_more_than_the_limit_is_kept_and_the_oldest_goes_first():
    speeds = Speeds(limit=2)
    for name in ("a", "b", "a", "c"):
        speeds.began(Target(name, "m"), 1.0, now=0.0)
    assert len(speeds) == 2
    assert speeds.of(Target("b", "m")) is None

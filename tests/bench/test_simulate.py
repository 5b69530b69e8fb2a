"""The table of the simulated fleet is the one in the README, and it shows what the queue is for."""

import pytest

from bench.simulate.__main__ import POLICIES, README, SEEDS, compared, simulate, written


def test_the_readme_shows_what_the_simulation_gives():
    text = README.read_text(encoding="utf-8")
    assert text == written(text, compared())


@pytest.mark.parametrize("seed", [11, 12])
def test_the_queue_is_better_than_simpler_ones_on_days_that_it_was_not_tuned_for(seed):
    assert seed not in SEEDS
    turnout, *others = (simulate(name, seed=seed) for name in sorted(POLICIES, key="Turnout".__ne__))
    assert turnout.policy == "Turnout"
    for other in others:
        assert turnout.interactive_p95_s < other.interactive_p95_s / 2
        assert turnout.normal_p95_s < other.normal_p95_s
        assert turnout.loads < other.loads / 2
        assert turnout.gave_up < other.gave_up
        assert turnout.answers > other.answers
        assert turnout.jain > other.jain

"""What true counts teach about estimates."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.usage.calibration import MAX_MODELS, UNKNOWN, Calibration, Kind

KIND = Kind("ollama", "llama3.2")
LARGE = 2_000


def taught(factor: float, *, times: int = 30, noise: float = 0.0, seed: int = 0) -> Calibration:
    chance, calibration = random.Random(seed), Calibration()
    for _ in range(times):
        true = round(LARGE * factor * (1 + noise * (2 * chance.random() - 1)))
        calibration.observe(KIND, LARGE, true)
    return calibration


@pytest.mark.parametrize("factor", [0.3, 0.8, 1.0, 1.4, 3.0])
def test_a_model_that_counts_differently_is_soon_estimated_rightly(factor):
    ratio = taught(factor, times=5).ratio(KIND)
    assert ratio.factor == pytest.approx(factor, rel=0.01)
    assert ratio.is_trusted


def test_the_error_before_and_after_is_known():
    ratio = taught(1.5, noise=0.02).ratio(KIND)
    assert ratio.before == pytest.approx(1 / 3, abs=0.02)
    assert ratio.after < 0.05
    assert ratio.samples == 30


def test_the_spread_is_that_of_the_counts():
    assert taught(1.0, times=200).ratio(KIND).spread < 0.02
    assert 0.05 < taught(1.0, times=200, noise=0.2).ratio(KIND).spread < 0.25


def test_a_model_that_changes_is_learned_anew():
    calibration = taught(1.0, times=500)
    for _ in range(60):
        calibration.observe(KIND, LARGE, 2 * LARGE)
    assert calibration.ratio(KIND).factor == pytest.approx(2, rel=0.1)


def test_one_odd_count_does_not_upset_what_is_known():
    calibration = taught(1.0, times=100)
    calibration.observe(KIND, LARGE, LARGE * 100)
    assert calibration.ratio(KIND).factor < 1.2


def test_short_prompts_teach_less_than_long_ones():
    calibration = taught(1.0, times=3)
    for _ in range(3):
        calibration.observe(KIND, 10, 20)
    assert calibration.ratio(KIND).factor < 1.05


def test_kinds_of_text_are_learned_apart():
    calibration = taught(1.5)
    assert calibration.ratio(Kind("ollama", "llama3.2", foreign=True)) == UNKNOWN


def test_the_models_that_nobody_asks_any_more_are_forgotten():
    calibration = Calibration()
    for number in range(MAX_MODELS + 10):
        calibration.observe(Kind("openai", str(number)), 100, 100)
    assert len(list(calibration)) == MAX_MODELS
    assert calibration.ratio(Kind("openai", "0")) == UNKNOWN


@given(st.lists(st.tuples(st.floats(-1, 1e9), st.integers(-1, 10**9)), max_size=30))
def test_no_count_breaks_it(counts):
    calibration = Calibration()
    for estimated, true in counts:
        calibration.observe(KIND, estimated, true)
    ratio = calibration.ratio(KIND)
    assert 0.1 < ratio.factor < 10
    assert 0 <= ratio.spread < 100

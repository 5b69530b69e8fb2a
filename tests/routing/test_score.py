"""Points: what speaks for a target."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.routing.score import CONVERSATION, FREE, LOADED, SPEED, Standing, score, scores, words

standings = st.builds(
    Standing,
    resident=st.sampled_from([True, False, None]),
    knows=st.booleans(),
    busy=st.integers(0, 50),
    limit=st.integers(1, 32),
    weight=st.floats(0.01, 100),
    answer_s=st.none() | st.floats(0.001, 600),
)


def total(**standing: object) -> float:
    return score(Standing(**standing), fastest_s=1.0).total  # pyright: ignore[reportArgumentType]


@given(standings, st.none() | st.floats(0.001, 600))
def test_the_parts_add_up_to_the_total(standing, fastest):
    points = score(standing, fastest)
    assert sum(points.parts.values()) == pytest.approx(points.total, abs=0.31)
    assert list(points.parts) == ["loaded", "conversation", "slots", "speed", "weight"]


@given(standings, st.integers(1, 50))
def test_being_busier_never_helps(standing, more):
    busier = Standing(**{**_fields(standing), "busy": standing.busy + more})
    assert score(busier, 1.0).total <= score(standing, 1.0).total


@given(standings)
def test_a_loaded_model_beats_an_unknown_one_and_that_one_that_must_load(standing):
    loaded, unknown, cold = (
        score(Standing(**{**_fields(standing), "resident": resident}), 1.0).total for resident in (True, None, False)
    )
    assert loaded > unknown > cold


@given(standings)
def test_knowing_the_conversation_is_worth_its_points(standing):
    knows, does_not = (score(Standing(**{**_fields(standing), "knows": knows}), 1.0).total for knows in (True, False))
    assert knows - does_not == pytest.approx(CONVERSATION, abs=0.11)


@given(st.lists(standings, min_size=1, max_size=5))
def test_the_fastest_and_the_untried_have_all_points_for_speed_and_nobody_more(given_standings):
    known = [standing.answer_s for standing in given_standings if standing.answer_s is not None]
    for standing, points in zip(given_standings, scores(given_standings), strict=True):
        assert 0 < points.speed <= SPEED
        if standing.answer_s is None or standing.answer_s == min(known):
            assert points.speed == pytest.approx(SPEED)


@given(standings, st.floats(0.01, 100), st.floats(0.01, 100))
def test_more_weight_never_hurts(standing, one, other):
    low, high = sorted((one, other))
    points = [score(Standing(**{**_fields(standing), "weight": weight}), 1.0).total for weight in (low, high)]
    assert points[0] <= points[1]


def test_a_line_at_a_loaded_model_in_the_end_outweighs_a_load_elsewhere():
    assert total(resident=True, busy=1) > total(resident=False)
    assert total(resident=True, busy=4) < total(resident=False)


def test_a_loaded_model_outweighs_free_slots_and_speed():
    assert LOADED > FREE + SPEED


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"resident": True, "knows": True}, {}, ("loaded", "knows conversation")),
        ({"knows": True}, {"resident": True}, ("knows conversation",)),
        ({"busy": 1, "limit": 4}, {"busy": 3, "limit": 4}, ("least busy",)),
        ({"answer_s": 1.0}, {"answer_s": 9.0}, ("fastest",)),
        ({"weight": 4.0}, {}, ("preferred",)),
        ({}, {"resident": False}, ("needs no load",)),
        ({}, {}, ("by chance",)),
    ],
)
def test_a_few_words_say_why_the_first_is_first(first, second, said):
    pair = [Standing(**first), Standing(**second)]
    best, rival = scores(pair)
    assert words(pair[0], best, rival) == said


def test_alone_nothing_needs_saying():
    assert words(Standing(), score(Standing(), None), None) == ()


def _fields(standing: Standing) -> dict[str, object]:
    return {name: getattr(standing, name) for name in standing.__struct_fields__}

"""How many further attempts the process allows itself."""

from hypothesis import given
from hypothesis import strategies as st

from router.relay.retry_budget import LEAST, SHARE, WINDOW_S, RetryBudget


def after(requests: int, *, further: int = 0, now: float = 100.0) -> RetryBudget:
    budget = RetryBudget()
    for _ in range(requests):
        budget.requested(now)
    for _ in range(further):
        budget.spend(now)
    return budget


def test_a_few_are_allowed_whatever_the_traffic():
    assert after(1, further=LEAST - 1).has_room(100)
    assert not after(1, further=LEAST).has_room(100)


def test_a_fifth_of_the_requests_may_be_tried_again():
    assert after(100, further=19).has_room(100)
    assert not after(100, further=20).has_room(100)


def test_what_was_spent_comes_back_after_ten_seconds():
    budget = after(1, further=LEAST)
    assert not budget.has_room(100 + WINDOW_S - 1)
    assert budget.has_room(100 + WINDOW_S)


def test_whoever_turned_somebody_away_is_trusted_again_after_an_answer():
    budget = RetryBudget()
    assert budget.trusts("a")
    budget.turned_away("a")
    assert not budget.trusts("a")
    assert budget.trusts("b")
    budget.answered("a")
    assert budget.trusts("a")


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=400))
def test_no_more_than_the_share_is_ever_granted_in_a_window(steps):
    budget, now = RetryBudget(), 1000.0
    asked: list[int] = []
    granted: list[int] = []
    for pause, is_request in steps:
        now += pause
        if is_request:
            budget.requested(now)
            asked.append(int(now))
        elif budget.has_room(now):
            budget.spend(now)
            granted.append(int(now))
            since = int(now) - WINDOW_S
            in_window = sum(second > since for second in granted)
            assert in_window <= max(LEAST, SHARE * sum(second > since for second in asked))

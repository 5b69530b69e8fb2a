"""What a key may use: within every minute, within a day, and what a refused caller is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.access.limits import DAY_S, Clock, Limits, Reservation
from router.access.principal import UNLIMITED, Allowance
from router.access.ratelimit_headers import duration, ratelimit_headers
from router.errors import BudgetSpent, LimitReached, TooManyRequests, TooManyTokens

MIDNIGHT = 20_000 * DAY_S
STEPS = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 400), st.integers(0, 400)), max_size=80)


def at(seconds: float) -> Clock:
    return Clock(monotonic=1000 + seconds, wall=MIDNIGHT + seconds)


@given(steps=STEPS, limit=st.integers(1, 6))
def test_no_minute_holds_more_requests_than_allowed(steps, limit):
    limits, allowance = Limits(), Allowance(requests_per_minute=limit)
    now, admitted = 0.0, []
    for gap, _, _ in steps:
        now += gap / 10
        try:
            limits.admit("k", allowance, tokens=0, clock=at(now))
        except TooManyRequests:
            continue
        admitted.append(now)
        assert sum(then > now - 60 for then in admitted) <= limit


@given(steps=STEPS, limit=st.integers(1, 1000))
def test_no_request_begins_while_the_last_minute_used_all_its_tokens(steps, limit):
    limits, allowance = Limits(), Allowance(tokens_per_minute=limit)
    now, used_at = 0.0, []
    for gap, expected, used in steps:
        now += gap
        try:
            reservation = limits.admit("k", allowance, tokens=expected, clock=at(now))
        except TooManyTokens:
            continue
        assert sum(tokens for then, tokens in used_at if then > now - 60) < limit
        now += gap
        limits.settle(reservation, used=used, clock=at(now))
        used_at.append((now, used))


def tried(limits: Limits, allowance: Allowance, expected: int, *, now: float) -> float | Reservation:
    """The reservation, or how long to wait for it."""
    try:
        return limits.admit("k", allowance, tokens=expected, clock=at(now))
    except LimitReached as refused:
        return refused.retry_after or 0.0


@given(steps=STEPS, requests=st.integers(1, 5), tokens=st.integers(1, 1000))
def test_whoever_comes_back_when_told_to_waits_once_for_each_limit(steps, requests, tokens):
    limits, allowance = Limits(), Allowance(requests_per_minute=requests, tokens_per_minute=tokens)
    now = 0.0
    for gap, expected, used in steps:
        now += gap / 10
        waits = 0
        while isinstance(answer := tried(limits, allowance, expected, now=now), float):
            waits += 1
            assert waits <= 2
            assert 0 < answer <= 61
            now += answer + 1e-6
        limits.settle(answer, used=used, clock=at(now))


@given(steps=STEPS)
def test_an_account_is_at_rest_again_a_minute_after_everything_was_settled(steps):
    limits, allowance = Limits(), Allowance(requests_per_minute=10_000, tokens_per_minute=1_000_000)
    now = 0.0
    for gap, expected, used in steps:
        reservation = limits.admit("k", allowance, tokens=expected, clock=at(now))
        now += gap * 3
        limits.settle(reservation, used=used, clock=at(now))
    requests, tokens = limits.standing("k", allowance, clock=at(now + 61))
    assert (requests.remaining, tokens.remaining) == (10_000, 1_000_000)
    assert (requests.reset_s, tokens.reset_s) == (0, 0)


def test_a_request_larger_than_its_limit_may_begin_when_nothing_else_is_counted():
    limits, allowance = Limits(), Allowance(tokens_per_minute=100)
    limits.admit("k", allowance, tokens=5000, clock=at(0))
    with pytest.raises(TooManyTokens) as refused:
        limits.admit("k", allowance, tokens=1, clock=at(10))
    assert refused.value.retry_after == pytest.approx(51)


def test_what_was_set_aside_and_not_used_is_free_at_once():
    limits, allowance = Limits(), Allowance(tokens_per_minute=100)
    reservation = limits.admit("k", allowance, tokens=100, clock=at(0))
    limits.settle(reservation, used=10, clock=at(1))
    limits.settle(reservation, used=10, clock=at(1))
    assert limits.standing("k", allowance, clock=at(1))[1].remaining == 90


def test_a_reservation_that_slid_out_of_the_minute_gives_nothing_back():
    limits, allowance = Limits(), Allowance(tokens_per_minute=100)
    reservation = limits.admit("k", allowance, tokens=100, clock=at(0))
    limits.settle(reservation, used=30, clock=at(90))
    assert limits.standing("k", allowance, clock=at(90))[1].remaining == 70


def test_a_refused_request_counts_for_nothing():
    limits, allowance = Limits(), Allowance(requests_per_minute=1)
    limits.admit("k", allowance, tokens=0, clock=at(0))
    for second in range(1, 60):
        with pytest.raises(TooManyRequests):
            limits.admit("k", allowance, tokens=0, clock=at(second))
    limits.admit("k", allowance, tokens=0, clock=at(61))


def test_one_key_does_not_use_up_what_another_may():
    limits, allowance = Limits(), Allowance(requests_per_minute=1)
    limits.admit("a", allowance, tokens=0, clock=at(0))
    limits.admit("b", allowance, tokens=0, clock=at(0))


def test_a_budget_is_whole_again_at_midnight_utc_and_says_so():
    limits, allowance = Limits(), Allowance(tokens_per_day=100)
    limits.settle(limits.admit("k", allowance, tokens=50, clock=at(0)), used=100, clock=at(5))
    with pytest.raises(BudgetSpent) as refused:
        limits.admit("k", allowance, tokens=1, clock=at(10))
    assert refused.value.retry_after == DAY_S - 10
    assert (refused.value.status, refused.value.code) == (429, "insufficient_quota")
    limits.admit("k", allowance, tokens=1, clock=at(DAY_S))


def test_requests_under_way_count_towards_the_budget():
    limits, allowance = Limits(), Allowance(tokens_per_day=100)
    limits.admit("k", allowance, tokens=100, clock=at(0))
    with pytest.raises(BudgetSpent):
        limits.admit("k", allowance, tokens=100, clock=at(0))


def test_what_was_spent_before_a_restart_counts_and_is_never_lowered():
    limits, allowance = Limits(), Allowance(tokens_per_day=100)
    limits.seed({"k": 100}, clock=at(0))
    limits.seed({"k": 40}, clock=at(1))
    with pytest.raises(BudgetSpent):
        limits.admit("k", allowance, tokens=1, clock=at(2))


def test_keys_that_nobody_uses_are_forgotten():
    limits = Limits()
    for number in range(50):
        limits.settle(limits.admit(f"k{number}", UNLIMITED, tokens=1, clock=at(0)), used=1, clock=at(1))
    limits.admit("k", UNLIMITED, tokens=1, clock=at(3 * DAY_S))
    assert list(limits._accounts) == ["k"]


def test_headers_name_only_the_limits_that_there_are():
    limits, allowance = Limits(), Allowance(requests_per_minute=60)
    limits.admit("k", allowance, tokens=7, clock=at(0.5))
    assert ratelimit_headers(*limits.standing("k", allowance, clock=at(0.5))) == [
        (b"x-ratelimit-limit-requests", b"60"),
        (b"x-ratelimit-remaining-requests", b"59"),
        (b"x-ratelimit-reset-requests", b"1m0.5s"),
    ]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0s"),
        (-1, "0s"),
        (0.017, "17ms"),
        (0.0001, "1ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (360, "6m0s"),
        (3603, "1h0m3s"),
    ],
)
def test_a_time_is_written_as_openai_writes_it(seconds, written):
    assert duration(seconds) == written

"""Nobody starves, shares are even, and no order of arrival would have loaded less."""

from heapq import heappop, heappush
from itertools import count, groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from router.admission.claims import Claim, Granted, Limits, Priority
from router.admission.scheduler import Lane

BOX = "box"
MAX_SERVICE_S = 5.0
users = st.sampled_from(["u1", "u2", "u3", "u4"])
models = st.sampled_from(["a", "b", "c"])
services = st.floats(0.2, MAX_SERVICE_S)


class Play:
    """A lane, its clock, and requests that take a known time."""

    def __init__(self, limits: Limits) -> None:
        self.lane = Lane(limits)
        self.now = 0.0
        self.tickets = count()
        self.ends: list[tuple[float, int]] = []
        self.claims: dict[int, tuple[Claim, float]] = {}
        self.granted: dict[int, float] = {}
        self.loads: list[tuple[float, str]] = []

    def ask(self, user, *, model="m", priority=Priority.NORMAL, service_s=1.0):
        claim = Claim(next(self.tickets), BOX, model, user, priority, self.now)
        self.claims[claim.ticket] = (claim, service_s)
        if isinstance(self.lane.ask(claim, self.now), Granted):
            self._run(claim.ticket)
        return claim.ticket

    def step(self, until=float("inf")):
        """Goes on to the next thing that happens; False if that is later."""
        due = self.lane.due(self.now)
        end = self.ends[0][0] if self.ends else float("inf")
        at = min(end, due if due is not None else float("inf"))
        if at > until or at == float("inf"):
            self.now = max(self.now, min(until, at))
            return False
        self.now = at
        granted = self.lane.leave(heappop(self.ends)[1], self.now) if at == end else self.lane.advance(self.now)
        for claim in granted:
            self._run(claim.ticket)
        return True

    def _run(self, ticket):
        self.granted[ticket] = self.now
        claim, service_s = self.claims[ticket]
        heappush(self.ends, (self.now + service_s, ticket))
        if self.lane.loads(ticket):
            self.loads.append((self.now, claim.model))


requests = st.lists(st.tuples(users, models, st.sampled_from(Priority), services), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    requests,
    st.integers(1, 20),
    st.integers(1, 3),
    st.sampled_from(Priority),
    st.sampled_from(["a", "z"]),
    st.booleans(),
)
def test_nobody_starves_behind_a_flood(flood, depth, slots, priority, model, reloading):
    """Due after half of the longest wait at most; then each user's turn may come first, every other turn is
    not for the overdue, and a load waits for the time that the loaded model has, and for what runs."""
    limits = Limits(per_backend={BOX: slots}, reloading=frozenset({BOX} if reloading else ()), max_wait_s=240)
    play, kinds = Play(limits), _again(flood)
    ticket = None
    while ticket is None or ticket not in play.granted:
        while play.lane.waiting() - (ticket is not None) < depth:
            user, other, kind, service_s = next(kinds)
            play.ask(user, model=other, priority=kind, service_s=service_s)
        if ticket is None and play.now > 10:
            ticket = play.ask("victim", model=model, priority=priority, service_s=1.0)
            continue
        assert play.step()
        assert play.now < 240
    turns = 2 * 5 + 1
    bound = 40 * (priority + 1) + turns * MAX_SERVICE_S + (5 * (15 + 2 * MAX_SERVICE_S) if reloading else 0)
    assert play.granted[ticket] - play.claims[ticket][0].at <= bound


def _again(flood):
    while True:
        yield from flood


@settings(max_examples=25, deadline=None)
@given(st.lists(services, min_size=2, max_size=5), st.integers(1, 4), st.integers(1, 3))
def test_users_of_one_class_who_always_want_more_get_even_shares(service_s, queued, slots):
    """Up to what one request takes, and what fades while others wait. Turns of those who wait too long go by user,
    not by seconds, so the wait is kept shorter than that here."""
    play = Play(Limits(max_parallel=slots, max_wait_s=1e6, max_per_user=1_000))
    waiting = dict.fromkeys(range(len(service_s)), 0)
    got = dict.fromkeys(waiting, 0.0)
    asked: dict[int, int] = {}
    while play.now < 300:
        for user, each in enumerate(service_s):
            open_ = sum(1 for ticket, whose in asked.items() if whose == user and ticket not in play.granted)
            for _ in range(queued + slots - open_):
                asked[play.ask(f"u{user}", service_s=each)] = user
        for ticket in [ticket for ticket in asked if ticket in play.granted]:
            got[asked.pop(ticket)] += play.claims[ticket][1]
        play.step()
    assert min(got.values()) >= 0.8 * max(got.values()) - 2 * slots * MAX_SERVICE_S


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 6), models, services), max_size=40))
def test_requests_of_one_kind_cause_no_more_loads_than_their_order_of_arrival(arrivals):
    play = Play(Limits(per_backend={BOX: 1}, reloading=frozenset({BOX}), max_wait_s=1e6))
    at = 0.0
    for pause, model, service_s in arrivals:
        at += pause
        while play.step(at):
            pass
        play.now = at
        play.ask("u", model=model, service_s=service_s)
    while play.step():
        pass
    assert len(play.granted) == len(arrivals)
    assert len(play.loads) <= len(list(groupby(model for _, model, _ in arrivals)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(users, models, services), min_size=1, max_size=40))
def test_requests_that_wait_together_load_each_model_once(requests):
    play = Play(Limits(per_backend={BOX: 1}, reloading=frozenset({BOX}), max_wait_s=1e6))
    for user, model, service_s in requests:
        play.ask(user, model=model, service_s=service_s)
    while play.step():
        pass
    assert sorted({model for _, model in play.loads}) == sorted(model for _, model in play.loads)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3), users, models, st.sampled_from(Priority), services), max_size=60))
def test_while_the_loaded_model_is_wanted_it_stays_for_its_time(arrivals):
    play = Play(Limits(per_backend={BOX: 2}, reloading=frozenset({BOX}), max_wait_s=60))
    at = 0.0
    for pause, user, model, priority, service_s in arrivals:
        at += pause
        while play.step(at):
            pass
        play.now = at
        play.ask(user, model=model, priority=priority, service_s=service_s)
    while play.step():
        pass
    for (since, model), (until, _) in zip(play.loads, play.loads[1:], strict=False):
        wanted = any(
            claim.model == model and claim.at < until < play.granted[ticket]
            for ticket, (claim, _) in play.claims.items()
        )
        assert not wanted or until - since >= 15 - 1e-9

"""Who may run on a backend: the limit is kept, the order is kept, nobody is forgotten."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from router.admission.scheduler import Line, Verdict


def test_without_a_limit_everybody_runs():
    line = Line()
    assert {line.ask(ticket) for ticket in range(1_000)} == {Verdict.GRANTED}


def test_over_the_limit_requests_wait():
    line = Line(limit=1)
    assert [line.ask(ticket) for ticket in range(3)] == [Verdict.GRANTED, Verdict.QUEUED, Verdict.QUEUED]


def test_a_full_line_refuses():
    line = Line(limit=1, max_depth=1)
    assert [line.ask(ticket) for ticket in range(3)] == [Verdict.GRANTED, Verdict.QUEUED, Verdict.REFUSED]


def test_a_refused_request_leaves_no_trace():
    line = Line(limit=1, max_depth=0)
    line.ask(1)
    line.ask(2)
    assert line.leave(2) == ()
    assert (line.running, list(line.waiting)) == ({1}, [])


def test_a_free_slot_goes_to_who_waited_longest():
    line = Line(limit=1)
    for ticket in range(3):
        line.ask(ticket)
    assert [line.leave(0), line.leave(1), line.leave(2)] == [(1,), (2,), ()]


def test_who_leaves_the_line_is_forgotten():
    line = Line(limit=1)
    for ticket in range(3):
        line.ask(ticket)
    assert line.leave(1) == ()
    assert line.leave(0) == (2,)


def test_leaving_twice_frees_one_slot_only():
    line = Line(limit=1)
    for ticket in range(3):
        line.ask(ticket)
    line.leave(0)
    assert line.leave(0) == ()
    assert line.running == {1}


class AnyTraffic(RuleBasedStateMachine):
    """Requests that come, run, and leave at any moment."""

    @initialize(limit=st.integers(1, 4), depth=st.integers(0, 6))
    def open(self, limit, depth):
        self.line = Line(limit=limit, max_depth=depth)
        self.next = 0
        self.asked: list[int] = []
        self.granted: list[int] = []
        self.inside: set[int] = set()

    @rule()
    def a_request_comes(self):
        ticket, self.next = self.next, self.next + 1
        verdict = self.line.ask(ticket)
        if verdict is Verdict.REFUSED:
            assert len(self.line.waiting) == self.line.max_depth
            return
        self.inside.add(ticket)
        self.asked.append(ticket)
        if verdict is Verdict.GRANTED:
            self.granted.append(ticket)

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def one_leaves(self, data):
        ticket = data.draw(st.sampled_from(sorted(self.inside)))
        self.inside.discard(ticket)
        if ticket not in self.granted:
            self.asked.remove(ticket)
        self.granted += self.line.leave(ticket)

    @invariant()
    def the_limit_is_kept(self):
        assert len(self.line.running) <= (self.line.limit or 0)

    @invariant()
    def nobody_waits_beside_a_free_slot(self):
        assert not self.line.waiting or len(self.line.running) == self.line.limit

    @invariant()
    def the_order_is_kept(self):
        assert self.granted == self.asked[: len(self.granted)]

    @invariant()
    def nobody_is_forgotten(self):
        assert self.inside == self.line.running | set(self.line.waiting)

    def teardown(self):
        for ticket in sorted(getattr(self, "inside", ())):
            self.line.leave(ticket)
        if hasattr(self, "line"):
            assert not self.line.running
            assert not self.line.waiting


TestAnyTraffic = AnyTraffic.TestCase
TestAnyTraffic.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("limit", [1, 3])
def test_everybody_runs_in_the_end(limit):
    line = Line(limit=limit)
    for ticket in range(50):
        line.ask(ticket)
    ran: list[int] = []
    while line.running:
        ticket = min(line.running)
        ran.append(ticket)
        line.leave(ticket)
    assert ran == list(range(50))

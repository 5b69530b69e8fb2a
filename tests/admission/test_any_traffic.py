"""Whatever comes in whatever order: no limit is passed, nobody is lost, granted twice, or left beside a free slot."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from router.admission.claims import Claim, Granted, Limits, Priority, Queued, Refused
from router.admission.scheduler import Lane

BACKENDS = ("box", "plain")
MODELS = ("a", "b", "c")
some_limit = st.one_of(st.none(), st.integers(1, 3))


@st.composite
def limits(draw):
    return Limits(
        max_parallel=draw(some_limit),
        per_backend={backend: draw(some_limit) for backend in BACKENDS},
        per_model={backend: draw(some_limit) for backend in BACKENDS},
        reloading=frozenset(draw(st.sampled_from([(), ("box",), BACKENDS]))),
        max_depth=draw(st.integers(0, 8)),
        max_per_user=draw(st.integers(1, 5)),
        max_wait_s=draw(st.sampled_from([6.0, 120.0])),
        min_residency_s=draw(st.sampled_from([0.0, 15.0])),
    )


class AnyTraffic(RuleBasedStateMachine):
    """Requests that come, run, fail and leave; probes, drains and other limits in between."""

    @initialize(limits=limits())
    def open(self, limits):
        self.limits = limits
        self.lane = Lane(limits)
        self.now = 0.0
        self.ticket = 0
        self.waiting: dict[int, Claim] = {}
        self.running: dict[int, Claim] = {}
        self.together: set[tuple[str, frozenset[str]]] = set()
        self.paused: set[str] = set()
        self.too_many = Counter()

    @rule(
        backend=st.sampled_from(BACKENDS),
        model=st.sampled_from(MODELS),
        user=st.sampled_from(["", "x", "y"]),
        priority=st.sampled_from(Priority),
        late=st.sampled_from([0.0, 0.0, 5.0, 70.0]),
    )
    def a_request_comes(self, backend, model, user, priority, late):
        self.ticket += 1
        claim = Claim(self.ticket, backend, model, user, priority, self.now - late)
        verdict = self.lane.ask(claim, self.now)
        match verdict:
            case Granted():
                self._runs(claim)
            case Queued():
                self.waiting[claim.ticket] = claim
                position = self.lane.position(claim.ticket, self.now)
                assert 1 <= position <= len(self.waiting) <= self.limits.max_depth
                assert (
                    not user or sum(other.user == user for other in self.waiting.values()) <= self.limits.max_per_user
                )
            case Refused(reason, retry_after_s):
                assert 1 <= retry_after_s <= 60
                assert reason == "full" or user
                assert self.lane.leave(claim.ticket, self.now) == ()
        if not isinstance(verdict, Granted):
            self._clock_runs()

    @precondition(lambda self: self.waiting or self.running)
    @rule(data=st.data(), served=st.booleans())
    def one_leaves(self, data, served):
        ticket = data.draw(st.sampled_from(sorted({*self.waiting, *self.running})))
        self.waiting.pop(ticket, None)
        self.running.pop(ticket, None)
        self._granted(self.lane.leave(ticket, self.now, served=served))
        assert self.lane.leave(ticket, self.now) == ()

    @rule(seconds=st.sampled_from([0.5, 3.0, 20.0]))
    def time_passes(self, seconds):
        until = self.now + seconds
        while (due := self.lane.due(self.now)) is not None and due <= until:
            self.now = due
            self._granted(self.lane.advance(due))
        self.now = until

    @rule(backend=st.sampled_from(BACKENDS), models=st.sets(st.sampled_from(MODELS)))
    def a_probe_looks(self, backend, models):
        self.together.add((backend, frozenset(models)))
        self._granted(self.lane.resident(backend, models, self.now))

    @rule(backend=st.sampled_from(BACKENDS))
    def a_backend_drains(self, backend):
        self.paused.add(backend)
        self.lane.pause(backend)

    @rule(backend=st.sampled_from(BACKENDS))
    def a_backend_is_back(self, backend):
        self.paused.discard(backend)
        self._granted(self.lane.resume(backend, self.now))

    @invariant()
    def nobody_is_lost(self):
        if hasattr(self, "lane"):
            entries = self.lane.entries(self.now)
            assert sorted(entry.claim.ticket for entry in entries) == sorted(self.waiting)
            assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
            assert all(entry.eta_s >= 0 for entry in entries)
            assert self.lane.in_flight() == len(self.running)
            assert [self.lane.position(entry.claim.ticket, self.now) for entry in entries] == [
                entry.position for entry in entries
            ]

    @invariant()
    def nobody_waits_for_an_idle_lane(self):
        if hasattr(self, "lane") and not self.running:
            assert all(claim.backend in self.paused for claim in self.waiting.values())

    @invariant()
    def nobody_waits_beside_a_free_slot_without_a_reason(self):
        """A free slot stays free for the sake of a limit, a drain, or a model that is not loaded."""
        if not hasattr(self, "lane"):
            return
        for claim in self.waiting.values():
            if claim.backend not in self.limits.reloading and claim.backend not in self.paused:
                assert self._is_full(claim)

    def _is_full(self, claim):
        limits = self.limits
        runs = list(self.running.values())
        here = [run for run in runs if run.backend == claim.backend]
        same = [run for run in here if run.model == claim.model]
        bounds = (
            (limits.max_parallel, runs),
            (limits.per_backend[claim.backend], here),
            (limits.per_model[claim.backend], same),
        )
        return any(limit is not None and len(running) >= limit for limit, running in bounds)

    def _granted(self, claims):
        for claim in claims:
            assert self.waiting.pop(claim.ticket) is claim
            self._runs(claim)
        self._clock_runs()

    def _clock_runs(self):
        if self.lane.due(self.now) == self.now:
            self._granted(self.lane.advance(self.now))

    def _runs(self, claim):
        assert claim.ticket not in self.running
        assert claim.backend not in self.paused
        assert not self._is_full(claim)
        if self.lane.loads(claim.ticket):
            others = {run.model for run in self.running.values() if run.backend == claim.backend}
            beside = [models for backend, models in self.together if backend == claim.backend]
            assert others <= {claim.model} or any(models >= {*others, claim.model} for models in beside)
        self.running[claim.ticket] = claim

    def teardown(self):
        if not hasattr(self, "lane"):
            return
        for backend in BACKENDS:
            self.a_backend_is_back(backend)
        for _ in range(len(self.waiting) + len(self.running)):
            ticket = min(self.running)
            del self.running[ticket]
            self._granted(self.lane.leave(ticket, self.now))
        assert not self.waiting
        assert not self.running
        assert self.lane.in_flight() == self.lane.waiting() == 0


TestAnyTraffic = AnyTraffic.TestCase
TestAnyTraffic.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

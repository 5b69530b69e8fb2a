"""How the state of a backend changes, by looks and by the outcomes of requests."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from router.canonical.models import ModelInfo, Probe
from router.routing.health import FIRST_COOLDOWN_S, MAX_COOLDOWN_S, BackendHealth, Health, Readiness, State

FOUND = Probe(version="1.2", models=(ModelInfo(name="m:latest"),))
MODELS_S = 300.0


class Scene:
    """One backend and a clock."""

    def __init__(self) -> None:
        self.health = Health(["desk"])
        self.now = 100.0

    @property
    def desk(self) -> BackendHealth:
        return self.health["desk"]

    @property
    def readiness(self) -> Readiness:
        return self.desk.readiness(self.now)

    def looked(self) -> None:
        self.health.looked("desk", FOUND, now=self.now, latency_s=0.2)

    def look_failed(self) -> None:
        self.health.look_failed("desk", "refused", now=self.now, models_s=MODELS_S)

    def started(self) -> bool:
        return self.health.started("desk", now=self.now)

    def ended(self, *, was_trial: bool) -> None:
        self.health.ended("desk", was_trial=was_trial)

    def failed(self) -> None:
        self.health.failed("desk", "broke", now=self.now)

    def succeeded(self) -> None:
        self.health.succeeded("desk", now=self.now)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_backend_nobody_looked_at_may_be_used(scene):
    assert (scene.desk.state, scene.readiness) == (State.UNKNOWN, Readiness.READY)


def test_a_good_look_brings_a_backend_up(scene):
    scene.looked()
    assert (scene.desk.state, scene.readiness) == (State.UP, Readiness.READY)


def test_a_look_finds_models_version_and_latency(scene):
    scene.looked()
    assert (scene.desk.version, scene.desk.latency_s, scene.desk.models) == ("1.2", 0.2, FOUND.models)


def test_a_failed_look_takes_a_backend_down_until_the_next_good_one(scene):
    scene.looked()
    scene.look_failed()
    scene.now += 10_000
    assert scene.readiness is Readiness.DOWN
    scene.looked()
    assert scene.readiness is Readiness.READY


def test_a_failed_request_takes_a_backend_down_at_once(scene):
    scene.looked()
    scene.failed()
    assert (scene.desk.state, scene.readiness, scene.desk.last_error) == (State.DOWN, Readiness.DOWN, "broke")


def test_after_a_while_one_request_may_try_it(scene):
    scene.failed()
    scene.now += FIRST_COOLDOWN_S
    assert scene.readiness is Readiness.TRIAL
    assert scene.started()
    assert scene.readiness is Readiness.DOWN
    assert not scene.started()


def test_after_failed_requests_a_good_look_earns_only_a_trial(scene):
    scene.failed()
    scene.looked()
    assert (scene.desk.state, scene.readiness) == (State.HALF_OPEN, Readiness.TRIAL)


def test_a_trial_that_succeeds_brings_a_backend_up(scene):
    scene.failed()
    scene.now += FIRST_COOLDOWN_S
    trial = scene.started()
    scene.succeeded()
    scene.ended(was_trial=trial)
    assert (scene.desk.state, scene.desk.last_error) == (State.UP, None)


def test_a_trial_that_fails_waits_longer(scene):
    scene.failed()
    scene.now += FIRST_COOLDOWN_S
    trial = scene.started()
    scene.failed()
    scene.ended(was_trial=trial)
    scene.now += FIRST_COOLDOWN_S
    assert scene.readiness is Readiness.DOWN
    scene.now += FIRST_COOLDOWN_S
    assert scene.readiness is Readiness.TRIAL


def test_a_trial_whose_client_left_may_be_repeated(scene):
    scene.failed()
    scene.now += FIRST_COOLDOWN_S
    scene.ended(was_trial=scene.started())
    assert scene.readiness is Readiness.TRIAL


def test_an_older_request_that_ends_does_not_end_a_trial(scene):
    older = scene.started()
    scene.failed()
    scene.now += FIRST_COOLDOWN_S
    scene.started()
    scene.ended(was_trial=older)
    assert scene.readiness is Readiness.DOWN


def test_many_requests_that_fail_together_are_one_failure(scene):
    for _ in range(10):
        scene.failed()
    scene.now += FIRST_COOLDOWN_S
    assert scene.readiness is Readiness.TRIAL


def test_the_wait_grows_to_a_bound_and_a_success_forgets_it(scene):
    for _ in range(10):
        scene.failed()
        scene.now = scene.desk.retry_at or 0
    assert scene.desk.cooldown_s == MAX_COOLDOWN_S
    scene.succeeded()
    assert scene.desk.cooldown_s == FIRST_COOLDOWN_S


def test_a_missing_model_does_not_take_its_backend_down(scene):
    scene.looked()
    scene.health.model_missing("desk", "m:latest")
    assert (scene.readiness, scene.desk.missing) == (Readiness.READY, {"m"})


def test_the_next_look_forgets_what_was_missing(scene):
    scene.health.model_missing("desk", "m")
    scene.looked()
    assert scene.desk.missing == set()


def test_models_are_kept_for_a_while_when_looks_fail(scene):
    scene.looked()
    scene.now += MODELS_S
    scene.look_failed()
    assert scene.desk.models == FOUND.models


def test_models_are_forgotten_when_looks_have_failed_for_long(scene):
    scene.looked()
    scene.now += MODELS_S + 1
    scene.look_failed()
    assert scene.desk.models == ()


def test_a_model_is_found_with_and_without_its_tag(scene):
    scene.looked()
    assert scene.desk.model("M") is scene.desk.model("m:latest") is FOUND.models[0]


def test_a_backend_that_turns_up_later_is_kept_too(scene):
    scene.health.add("late")
    scene.health.add("desk")
    assert [each.name for each in scene.health] == ["desk", "late"]


def test_a_backend_that_loads_its_model_is_neither_up_nor_down(scene):
    scene.health.look_found_loading("desk", now=scene.now)
    assert (scene.desk.state, scene.readiness) == (State.LOADING, Readiness.LOADING)
    scene.looked()
    assert (scene.desk.state, scene.desk.last_error) == (State.UP, None)


def test_a_backend_that_was_started_anew_owes_no_trial(scene):
    scene.failed()
    scene.health.look_found_loading("desk", now=scene.now)
    scene.looked()
    assert scene.readiness is Readiness.READY


def test_a_loading_backend_that_answers_is_up(scene):
    scene.health.look_found_loading("desk", now=scene.now)
    scene.succeeded()
    assert scene.desk.state is State.UP


def test_a_loading_backend_that_fails_is_down(scene):
    scene.health.look_found_loading("desk", now=scene.now)
    scene.failed()
    assert scene.readiness is Readiness.DOWN


def test_a_backend_that_does_not_say_what_is_loaded_says_nothing_by_answering(scene):
    scene.looked()
    scene.health.succeeded("desk", model="m", now=scene.now)
    assert scene.desk.has_loaded("m", scene.now) is None


class AnyHistory(RuleBasedStateMachine):
    """Requests, looks and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.open: list[bool] = []

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds):
        self.scene.now += seconds

    @rule()
    def a_look_succeeds(self):
        self.scene.looked()

    @rule()
    def a_look_fails(self):
        self.scene.look_failed()

    @rule()
    def a_look_finds_it_loading(self):
        self.scene.health.look_found_loading("desk", now=self.scene.now)

    @rule()
    def a_request_starts(self):
        may_go = self.scene.readiness
        self.open.append(self.scene.started())
        assert self.open[-1] == (may_go is Readiness.TRIAL)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), outcome=st.sampled_from(["succeeded", "failed", "cancelled"]))
    def a_request_ends(self, data, outcome):
        trial = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        if outcome != "cancelled":
            getattr(self.scene, outcome)()
        self.scene.ended(was_trial=trial)

    @invariant()
    def never_more_than_one_trial_is_in_flight(self):
        assert sum(self.open) <= 1

    @invariant()
    def in_flight_counts_what_is_open(self):
        assert self.scene.desk.in_flight == len(self.open)

    @invariant()
    def a_backend_that_is_up_may_be_used(self):
        assert (self.scene.desk.state in {State.UP, State.UNKNOWN}) == (self.scene.readiness is Readiness.READY)

    def teardown(self):
        for trial in self.open:
            self.scene.ended(was_trial=trial)
        assert self.scene.desk.in_flight == 0
        assert not self.scene.desk.on_trial
        self.scene.looked()
        self.scene.succeeded()
        assert self.scene.readiness is Readiness.READY


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_model_that_answers_is_no_longer_missing():
    health = Health(["desk"])
    health.model_missing("desk", "m:latest")
    health.succeeded("desk", model="m", now=1.0)
    assert not health["desk"].missing

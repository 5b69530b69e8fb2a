"""Who is asked next."""

from router.errors import BackendFailed, BackendLoading, BackendUnreachable, RateLimited
from router.relay.course import Course
from router.routing.catalog import Target
from router.routing.plan import Candidate


def course(*names: str) -> Course:
    return Course(Candidate(Target(*name.split("/"))) for name in names)


def rest(given: Course) -> list[str]:
    taken: list[str] = []
    while (candidate := given.take()) is not None:
        taken.append(str(candidate.target))
    return taken


def test_another_model_of_a_failed_backend_comes_last():
    c = course("a/1", "a/2", "b/1")
    c.failed(c.take(), BackendFailed("a broke"))
    assert rest(c) == ["b/1", "a/2"]


def test_another_model_of_a_busy_backend_keeps_its_place():
    c = course("a/1", "a/2", "b/1")
    c.failed(c.take(), RateLimited("slowly"))
    assert rest(c) == ["a/2", "b/1"]


def test_those_who_may_be_asked_again_are_when_nobody_else_is_left():
    c = course("a/1", "b/1", "c/1")
    for error in (BackendUnreachable("gone"), BackendFailed("broke"), BackendLoading("Loading model")):
        assert not c.starts_over()
        c.failed(c.take(), error)
    assert c.starts_over()
    assert rest(c) == ["a/1", "c/1"]
    assert not c.starts_over()


def test_who_does_not_fit_is_passed_over_and_keeps_its_place():
    c = course("a/1", "b/1", "c/1")
    assert str(c.take(lambda candidate: candidate.target.backend == "b").target) == "b/1"
    assert rest(c) == ["a/1", "c/1"]
    assert c.take(lambda _: True) is None


def test_the_failure_that_says_when_to_come_back_is_told():
    c = course("a/1", "b/1")
    c.failed(c.take(), RateLimited("later", retry_after=7))
    c.failed(c.take(), BackendFailed("broke"))
    assert c.most_telling.retry_after == 7

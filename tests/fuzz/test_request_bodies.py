"""Whatever body a client sends, the router answers in OpenAI's shape, soon, and without a fault of its own."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz import judging
from tests.fuzz.bodies import BASES, requests
from tests.fuzz.conftest import EXAMPLES, Range
from tests.sdk.kinds import FAKES, Kind

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
"""Which hypothesis believes its strategies do when the router, on its own thread, draws a number."""


@pytest.mark.parametrize("kind", FAKES, ids=lambda kind: kind.name)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=requests())
def test_no_request_body_finds_a_fault_of_the_router(shooting: Range, kind: Kind, request: tuple[str, bytes]) -> None:
    path, body = request
    judging.check(shooting.ask(path, body, kind=kind), stream=b'"stream": true' in body)


@pytest.mark.parametrize("kind", FAKES, ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    ("path", "base"),
    [(path, base) for path, bases in BASES.items() for base in bases],
    ids=lambda value: ",".join(value)[:40] if isinstance(value, dict) else value,
)
def test_the_bodies_that_are_mutated_make_sense(shooting: Range, kind: Kind, path: str, base: dict[str, Any]) -> None:
    response = shooting.ask(path, json.dumps({"model": "m", **base}).encode(), kind=kind)
    assert response.status_code in {200, 400, 501}
    judging.check(response, stream=False)


def test_nothing_is_left_over(shooting: Range) -> None:
    shooting.settle()

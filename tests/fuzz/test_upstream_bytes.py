"""Whatever bytes a backend sends, the client gets a whole answer or one error, and gets it soon."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import judging
from tests.fuzz.conftest import EXAMPLES, Range
from tests.fuzz.upstream import Shot, shots, upstream_paths
from tests.sdk.kinds import FAKES, Kind

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
"""Which hypothesis believes its strategies do when the router, on its own thread, draws a number."""


@pytest.mark.parametrize("kind", FAKES, ids=lambda kind: kind.name)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_bytes_of_a_backend_leave_a_client_without_an_answer(
    shooting: Range, kind: Kind, data: st.DataObject
) -> None:
    shot: Shot = data.draw(shots(kind.flavour))
    for path in upstream_paths(kind.flavour):
        shooting.fakes[kind.name].script(path, shot.answer)
    judging.check(shooting.ask(shot.path, shot.body, kind=kind), stream=shot.stream)


def test_nothing_is_left_over(shooting: Range) -> None:
    shooting.settle()

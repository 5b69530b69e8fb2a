"""The stage that every SDK plays on."""

from collections.abc import Iterator

import pytest

from router import embedded
from tests.sdk.kinds import EVERY, Kind
from tests.sdk.stage import Stage, stage
from tests.sdk.talk import Talk


@pytest.fixture(scope="session")
def on_stage() -> Iterator[Stage]:
    with stage() as running:
        yield running


@pytest.fixture(params=EVERY, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    if kind.is_real and not embedded.available():
        pytest.skip("needs the extra `demo`")
    return kind


@pytest.fixture
def talk(on_stage: Stage, kind: Kind) -> Iterator[Talk]:
    """A client in front of a backend that has forgotten everything."""
    talk = Talk(on_stage, kind)
    with talk.client:
        yield talk
    if talk.fake is not None:
        talk.fake.reset()
        talk.says("Hello from the fake.")

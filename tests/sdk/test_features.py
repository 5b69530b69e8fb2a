"""Everything that a client of OpenAI's API can do, with the official SDK, over every kind of backend."""

from collections.abc import Callable

import pytest

from tests.sdk import conformance, publishing
from tests.sdk.conformance import Feature
from tests.sdk.features import every
from tests.sdk.kinds import REAL, Kind
from tests.sdk.talk import Talk


@pytest.fixture
def expected(request: pytest.FixtureRequest, kind: Kind) -> str | None:
    """What the README says of the feature over this kind; None while the README is being written."""
    if request.config.pluginmanager.has_plugin(publishing.PROPERTY):
        return None
    feature: Feature = request.getfixturevalue("feature")
    return conformance.published().get((feature.title, REAL.flavour if kind.is_real else kind.name), "nothing")


@pytest.mark.parametrize("feature", every(), ids=lambda feature: feature.title)
def test_a_feature_is_what_the_readme_says_it_is(
    talk: Talk, feature: Feature, expected: str | None, record_property: Callable[[str, object], None]
) -> None:
    if talk.kind.is_real and not feature.real:
        pytest.skip("a real model of this size cannot show it")
    outcome = feature.outcome(talk)
    record_property(publishing.PROPERTY, f"{feature.title}\t{talk.kind.name}\t{outcome}")
    assert expected in {None, outcome}

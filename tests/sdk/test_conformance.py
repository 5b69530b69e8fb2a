"""The conformance table in the README."""

from tests.sdk import conformance
from tests.sdk.features import every


def test_the_table_in_the_readme_has_every_feature_and_every_kind() -> None:
    assert conformance.is_current(every()), "the README is stale: run `just conformance`"


def test_no_feature_has_two_rows() -> None:
    titles = [feature.title for feature in every()]
    assert len(titles) == len(set(titles)) >= 40

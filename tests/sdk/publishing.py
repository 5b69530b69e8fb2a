"""A pytest plugin (`-p tests.sdk.publishing`) that writes what came of every feature into the README."""

from collections.abc import Sequence

import pytest

from tests.readme import Publishing
from tests.sdk import conformance

PROPERTY = "conformance"


def publish(values: Sequence[str]) -> None:
    from tests.sdk.features import every

    outcomes: dict[tuple[str, str], str] = {}
    for title, kind, outcome in (value.split("\t") for value in values):
        outcomes[title, kind] = outcome
    conformance.write(outcomes, every())


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Publishing(PROPERTY, publish), PROPERTY)

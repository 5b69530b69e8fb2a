"""A pytest plugin (`-p tests.clients.publishing`) that writes what every client has played into the README."""

from collections.abc import Sequence

import pytest

from tests.readme import Publishing

PROPERTY = "played"


def publish(values: Sequence[str]) -> None:
    from tests.clients import works_with
    from tests.clients.each import every

    parts = [value.split("\t") for value in values]
    works_with.write([(client, kind, scene) for client, kind, scene in parts], every())


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Publishing(PROPERTY, publish), PROPERTY)

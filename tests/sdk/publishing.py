"""A pytest plugin (`-p tests.sdk.publishing`) that writes what came of every feature into the README."""

from collections.abc import Generator

import pytest

from tests.sdk import conformance

PROPERTY = "conformance"


class Publishing:
    """Collects outcomes while the tests run; writes them when all of them went well."""

    def __init__(self) -> None:
        self._outcomes: dict[tuple[str, str], str] = {}

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == PROPERTY and report.when == "call":
                title, kind, outcome = str(value).split("\t")
                self._outcomes[title, kind] = outcome

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None]:
        if exitstatus == pytest.ExitCode.OK:
            from tests.sdk.features import every

            conformance.write(self._outcomes, every())
        yield


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Publishing(), PROPERTY)

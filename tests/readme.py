"""The parts of the README that tests write."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@dataclass(frozen=True, slots=True)
class Part:
    """What stands between two comments."""

    begin: str
    end: str

    def text(self) -> str:
        return README.read_text(encoding="utf-8").partition(self.begin)[2].partition(self.end)[0].strip()

    def rows(self) -> list[list[str]]:
        """The cells of the table that stands there, its head first."""
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in self.text().splitlines()]
        return [*lines[:1], *lines[2:]]

    def write(self, text: str) -> None:
        whole = README.read_text(encoding="utf-8")
        before, _, rest = whole.partition(self.begin)
        after = rest.partition(self.end)[2]
        assert after, f"the README has no {self.begin} ... {self.end}"
        README.write_text(f"{before}{self.begin}\n\n{text}\n\n{self.end}{after}", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as Markdown."""
    ruled = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*ruled, *("| " + " | ".join(row) + " |" for row in rows)])


class Publishing:
    """A pytest plugin: collects a property of tests while they run, and publishes it when all of them went well."""

    def __init__(self, name: str, publish: Callable[[Sequence[str]], None]) -> None:
        self._name = name
        self._publish = publish
        self._values: list[str] = []

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._values += [str(value) for name, value in report.user_properties if name == self._name]

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None]:
        if exitstatus == pytest.ExitCode.OK:
            self._publish(self._values)
        yield

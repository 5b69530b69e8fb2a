"""Features, what comes of each over each kind of backend, and the table of it in the README."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

import openai

from tests.readme import Part
from tests.sdk.kinds import FAKES
from tests.sdk.talk import Talk

PART = Part("<!-- conformance: written by `just conformance` -->", "<!-- /conformance -->")
UNSUPPORTED = frozenset({"unsupported_parameter", "unsupported_value"})


class Outcome(StrEnum):
    """How a feature is in the table."""

    YES = "yes"
    REFUSED = "400"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Feature:
    """`run` fails where the feature does not work. `fields` are the request fields that may be dropped.

    `real` is whether a real model can show it.
    """

    group: str
    title: str
    run: Callable[[Talk], None]
    fields: frozenset[str]
    real: bool

    def outcome(self, talk: Talk) -> Outcome:
        """What comes of it; raises when that is nothing a client could live with."""
        try:
            self.run(talk)
        except openai.BadRequestError as error:
            if error.code in UNSUPPORTED:
                return Outcome.REFUSED
            raise
        except AssertionError:
            if not talk.dropped & self.fields:
                raise
        return Outcome.DROPPED if talk.dropped & self.fields else Outcome.YES


FEATURES: list[Feature] = []

Published = Mapping[tuple[str, str], str]
"""Outcomes by feature and kind."""


def feature(
    group: str, title: str, *fields: str, real: bool = True
) -> Callable[[Callable[[Talk], None]], Callable[[Talk], None]]:
    """Adds a row to the table."""

    def added(run: Callable[[Talk], None]) -> Callable[[Talk], None]:
        FEATURES.append(Feature(group, title, run, frozenset(fields), real))
        return run

    return added


def table(outcomes: Published, features: Sequence[Feature]) -> str:
    """The table as Markdown."""
    lines = ["| | " + " | ".join(kind.title for kind in FAKES) + " |", "|---" * (len(FAKES) + 1) + "|"]
    for group, rows in groupby(features, key=lambda feature: feature.group):
        lines.append(f"| **{group}** |" + " |" * len(FAKES))
        for row in rows:
            cells = [outcomes.get((row.title, kind.name), "?") for kind in FAKES]
            lines.append(f"| {row.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def published() -> Published:
    """What the README says."""
    head, *rows = PART.rows() or [[]]
    names = {kind.title: kind.name for kind in FAKES}
    kinds = [names.get(title, title) for title in head[1:]]
    return {(row[0], kind): cell for row in rows for kind, cell in zip(kinds, row[1:], strict=False) if cell}


def write(outcomes: Published, features: Sequence[Feature]) -> None:
    """Puts the table into the README."""
    PART.write(table(outcomes, features))


def is_current(features: Sequence[Feature]) -> bool:
    """Whether the README has the table that its own cells make: each row, each column, no other."""
    return PART.text() == table(published(), features) and "?" not in set(published().values())

"""Which works run on which paths, in which order."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from bench import leaving, works
from bench.embedding import embeddings
from bench.keys import bad_keys
from bench.many import many
from bench.paths import CLAUDE, OLLAMA, OPENAI, PATHS, Path
from bench.prompts import big_prompt
from bench.results import Row
from bench.turns import Bench, Effort

WORKS = ("W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "W10")
TRANSLATED = "W6"  # W1 to W3, on every path but the first
BASIC = (OPENAI, OLLAMA)
GROUPS = (BASIC, (CLAUDE,))  # each on a router of its own: what a Claude backend loads is no cost of the others

Step = Callable[[Bench, Path], Awaitable[Row]]


@dataclass(frozen=True, slots=True)
class Work:
    """Steps that run in turn, each on these paths; `quick` are the paths of a quick run."""

    name: str
    steps: Sequence[Step]
    paths: Collection[Path] = PATHS
    quick: Collection[Path] = PATHS


AGENDA = (
    # First, while the router's memory is as after a start.
    Work("W7", [many], BASIC, quick=(OPENAI,)),
    Work(
        "W1",
        [
            lambda bench, path: works.chat_at(bench, path, works.MANY),
            lambda bench, path: works.chat_at(bench, path, works.FEW),
            works.chat_paced,
        ],
    ),
    Work(
        "W2", [lambda bench, path: works.burst(bench, path, works.FEW), lambda bench, path: works.burst(bench, path, 1)]
    ),
    Work("W3", [works.paced], quick=BASIC),
    Work("W4", [embeddings], BASIC),
    Work("W5", [big_prompt], BASIC, quick=(OPENAI,)),
    Work("W8", [leaving.churn], BASIC, quick=(OPENAI,)),
    Work("W10", [lambda bench, _: bad_keys(bench)], (OPENAI,)),
)


def steps(effort: Effort, paths: Sequence[Path], chosen: Collection[str]) -> list[tuple[Path, Step]]:
    """Everything but W9, in the order to run it."""
    found = []
    for work in AGENDA:
        on = work.paths if effort.thorough else [path for path in work.paths if path in work.quick]
        for step in work.steps:
            found += [(path, step) for path in paths if path in on and _is_chosen(work.name, path, chosen)]
    return found


def _is_chosen(work: str, path: Path, chosen: Collection[str]) -> bool:
    if work in {"W1", "W2", "W3"} and path != OPENAI and TRANSLATED in chosen:
        return True
    return work in chosen


def in_order(rows: Sequence[Row]) -> list[Row]:
    """The rows by the numbers of their works."""
    return sorted(rows, key=lambda row: int(row.work.split()[0].removeprefix("W")))

"""What came of a run, and the table."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from bench.measure import percentile
from bench.simulate.people import BATCH_STARTS_S, BATCHES
from bench.simulate.world import Request
from router.admission.claims import Priority

BUSY_S = 15 * 60.0
COLUMNS = (
    "policy",
    "interactive wait p50 s",
    "p95 s",
    "normal p95 s",
    "gave up",
    "batch tries that gave up",
    "loads",
    "answers",
    "batch users' shares (Jain)",
    "batch done min",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One policy's run; seconds and counts."""

    policy: str
    interactive_p50_s: float
    interactive_p95_s: float
    normal_p95_s: float
    gave_up: float  # interactive and normal
    batch_gave_up: float
    loads: float
    answers: float
    jain: float
    batch_done_s: float | None


def outcome(policy: str, requests: Sequence[Request], *, loads: int, longest_wait_s: float) -> Outcome:
    """Waits are from arrival to the start of generation, loading included, in the time in which every policy has batch
    work to do; who gave up has waited the longest wait."""
    busy = [request for request in requests if BATCH_STARTS_S <= request.at < BATCH_STARTS_S + BUSY_S]
    waits = {
        priority: [_wait_s(request, longest_wait_s) for request in busy if request.priority is priority]
        for priority in Priority
    }
    return Outcome(
        policy,
        percentile(waits[Priority.INTERACTIVE], 0.5),
        percentile(waits[Priority.INTERACTIVE], 0.95),
        percentile(waits[Priority.NORMAL], 0.95),
        sum(request.gave_up and request.priority is not Priority.BATCH for request in requests),
        sum(request.gave_up and request.priority is Priority.BATCH for request in requests),
        loads,
        sum(request.ended_at is not None for request in requests),
        _jain(requests),
        _batch_done_s(requests),
    )


def _wait_s(request: Request, longest_wait_s: float) -> float:
    return longest_wait_s if request.started_at is None else request.started_at - request.at


def _done_s(requests: Iterable[Request], user: str) -> float | None:
    ends = [request.ended_at for request in requests if request.user == user and request.ended_at is not None]
    return max(ends) if len(ends) == BATCHES[user][0] else None


def _batch_done_s(requests: Sequence[Request]) -> float | None:
    done = [_done_s(requests, user) for user in BATCHES]
    return None if None in done else max(moment for moment in done if moment is not None)


def _jain(requests: Sequence[Request]) -> float:
    """Jain's index of the seconds served to each batch user until the first is done: 1 is even, 1/n is one's alone."""
    until = min((done for user in BATCHES if (done := _done_s(requests, user)) is not None), default=float("inf"))
    got = [
        sum(
            request.service_s
            for request in requests
            if request.user == user and request.ended_at is not None and request.ended_at <= until
        )
        for user in BATCHES
    ]
    return sum(got) ** 2 / (len(got) * sum(each**2 for each in got)) if any(got) else 0.0


def mean(outcomes: Sequence[Outcome]) -> Outcome:
    """Of several runs of one policy."""
    runs = [astuple(each)[1:] for each in outcomes]
    means = [None if None in values else sum(values) / len(values) for values in zip(*runs, strict=True)]
    return Outcome(outcomes[0].policy, *means)


def table(outcomes: Iterable[Outcome]) -> str:
    """As Markdown."""
    lines = [_line(COLUMNS), _line(["---", *["--:"] * (len(COLUMNS) - 1)])]
    return "\n".join([*lines, *(_line(_cells(each)) for each in outcomes)])


def _cells(each: Outcome) -> Sequence[str]:
    return (
        each.policy,
        f"{each.interactive_p50_s:.1f}",
        f"{each.interactive_p95_s:.1f}",
        f"{each.normal_p95_s:.1f}",
        f"{each.gave_up:.1f}",
        f"{each.batch_gave_up:.0f}",
        f"{each.loads:.0f}",
        f"{each.answers:.0f}",
        f"{each.jain:.2f}",
        "not" if each.batch_done_s is None else f"{each.batch_done_s / 60:.0f}",
    )


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"

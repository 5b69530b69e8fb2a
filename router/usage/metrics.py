"""Counts of requests, tokens and times for Prometheus: plain numbers on the event loop, put into its form when asked.

Prometheus' own counters take a lock each and cost 5 us a request together; these cost a fifth.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from router.canonical.events import UsageReported
from router.canonical.private import MARK, PRIVATE, public_label
from router.usage.record import CLIENT_LEFT, OK, RequestRecord

OTHER = "other"
NONE = "none"
"""No backend was chosen, or the request was refused at the door."""
MAX_SERIES = 2000

FIRST_TOKEN_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
DURATION_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
TOKENS_PER_S = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)

_LABELS = ("operation", "backend", "model")

Labels = tuple[str, str, str]
LabelOf = Callable[[str, str], str | None]
"""The label of a backend's model, the same for every spelling of it; None for a model that nobody knows."""


class Histogram:
    """Observations counted by their upper bounds, the last count being of those above all."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def cumulative(self) -> tuple[list[tuple[str, float]], float]:
        """Prometheus' buckets, each counting all below it, and the sum; no buckets when nothing was observed."""
        buckets: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
        return (buckets if total else []), self._sum


class Tokens:
    """Sums of token counts, by their kind."""

    KINDS = ("prompt", "completion", "cached", "reasoning")

    __slots__ = KINDS

    def __init__(self) -> None:
        self.prompt = self.completion = self.cached = self.reasoning = 0

    def add(self, usage: UsageReported) -> None:
        self.prompt += usage.prompt or 0
        self.completion += usage.completion or 0
        self.cached += usage.cached or 0
        self.reasoning += usage.reasoning or 0


class _Series:
    """The numbers of one operation on one model of one backend."""

    __slots__ = ("duration", "estimated", "exact", "first_token", "outcomes", "speed")

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.exact, self.estimated = Tokens(), Tokens()
        self.first_token = Histogram(FIRST_TOKEN_S)
        self.speed = Histogram(TOKENS_PER_S)
        self.duration = Histogram(DURATION_S)


class Metrics:
    """A sink of records. Labels come from what the router knows, never from a client: the rest is `other`."""

    def __init__(self, label_of: LabelOf) -> None:
        self._label_of = label_of
        self._series: dict[Labels, _Series] = {}
        self._resolved: dict[Labels, _Series] = {}
        self._errors: Counter[tuple[str, ...]] = Counter()
        self._failed_attempts: Counter[tuple[str, ...]] = Counter()
        self._fallbacks: Counter[tuple[str, ...]] = Counter()
        self._left: Counter[tuple[str, ...]] = Counter()
        self._cut: Counter[tuple[str, ...]] = Counter()
        self._hedges: Counter[tuple[str, ...]] = Counter()
        self._resumed: Counter[tuple[str, ...]] = Counter()
        self._out_of_budget: Counter[tuple[str, ...]] = Counter()

    def record(self, record: RequestRecord) -> None:
        """Counts one request."""
        if MARK in record.backend:
            record = replace(record, backend=PRIVATE, model="")
        asked = (record.operation, record.backend, record.model)
        series = self._resolved.get(asked) or self._resolve(asked)
        outcome = _outcome(record)
        series.outcomes[outcome] = series.outcomes.get(outcome, 0) + 1
        series.duration.observe(record.duration_s)
        if record.first_token_s is not None:
            series.first_token.observe(record.first_token_s)
        if (usage := record.usage) is not None:
            (series.estimated if usage.estimated else series.exact).add(usage)
            if (speed := record.tokens_per_s) is not None:
                series.speed.observe(speed)
        if record.outcome != OK or record.failed or record.hedge:
            self._trouble(record)
        if record.is_cut:
            self._cut[record.backend or NONE, self._label_of(record.backend, record.model) or OTHER] += 1

    def _trouble(self, record: RequestRecord) -> None:
        backend = record.backend or NONE
        if record.outcome == CLIENT_LEFT:
            self._left[backend,] += 1
        elif record.outcome != OK:
            self._errors[backend, record.outcome] += 1
        if record.hedge:
            self._hedges[backend, record.hedge] += 1
        if record.resumed:
            self._resumed[backend,] += record.resumed
        if record.out_of_budget:
            self._out_of_budget[backend,] += 1
        for failed in record.failed:
            self._failed_attempts[public_label(failed.backend), failed.code] += 1
        for failed in record.failed[: record.attempts - 1]:
            self._fallbacks[public_label(failed.backend),] += 1

    def _resolve(self, asked: Labels) -> _Series:
        """The numbers for a name as it was asked for; remembered while it is a name that the router knows."""
        operation, backend, model = asked
        known = self._label_of(backend, model) if backend else NONE
        labels = (operation or NONE, backend or NONE, known or OTHER)
        if labels not in self._series and len(self._series) >= MAX_SERIES:
            labels, known = (operation or NONE, OTHER, OTHER), None
        series = self._series.setdefault(labels, _Series())
        if known is not None and len(self._resolved) < MAX_SERIES:
            self._resolved[asked] = series
        return series

    def families(self) -> Iterator[Metric]:
        """Everything in Prometheus' form. May run in another thread while counting goes on."""
        yield from self._counters()
        histograms = (
            ("turnout_request_duration_seconds", "From arrival to end.", "duration"),
            ("turnout_time_to_first_token_seconds", "From arrival to the first token of a stream.", "first_token"),
            ("turnout_output_tokens_per_second", "Speed of streams after their first token.", "speed"),
        )
        for name, told, field in histograms:
            family = HistogramMetricFamily(name, told, labels=_LABELS)
            for labels, series in tuple(self._series.items()):
                buckets, total = getattr(series, field).cumulative()
                if buckets:
                    family.add_metric(labels, buckets, total)
            yield family

    def _counters(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "turnout_requests",
            "Requests by outcome: 2xx, 4xx, 5xx, broken (after its 200), client_left.",
            labels=(*_LABELS, "outcome"),
        )
        tokens = CounterMetricFamily(
            "turnout_tokens",
            "Tokens, exact or estimated; cached ones are part of prompt, reasoning ones of completion.",
            labels=(*_LABELS, "kind", "usage"),
        )
        for labels, series in tuple(self._series.items()):
            for outcome, count in tuple(series.outcomes.items()):
                requests.add_metric((*labels, outcome), count)
            for kind, usage in product(Tokens.KINDS, ("exact", "estimated")):
                if count := getattr(getattr(series, usage), kind):
                    tokens.add_metric((*labels, kind, usage), count)
        yield requests
        yield tokens
        by_code = ("backend", "code")
        yield _family("turnout_errors", "Failed requests, by what the client was told.", by_code, self._errors)
        yield _family("turnout_failed_attempts", "Tries at a backend that failed.", by_code, self._failed_attempts)
        told = "Attempts after the first, by the backend given up."
        yield _family("turnout_fallbacks", told, ("backend",), self._fallbacks)
        told = "Prompts that a backend cut without saying so."
        yield _family("turnout_prompts_cut", told, ("backend", "model"), self._cut)
        told = "Requests that two backends were asked for at once, by who answered, and whether the second won or lost."
        yield _family("turnout_hedges", told, ("backend", "second"), self._hedges)
        yield _family("turnout_resumed", "Streams that broke and went on, by who went on.", ("backend",), self._resumed)
        told = "Requests without a further attempt, too many others having needed one, by the last backend asked."
        yield _family("turnout_retry_budget_spent", told, ("backend",), self._out_of_budget)
        yield _family("turnout_client_left", "Clients who did not wait for the end.", ("backend",), self._left)


def _family(name: str, told: str, labels: tuple[str, ...], counts: Mapping[tuple[str, ...], int]) -> Metric:
    family = CounterMetricFamily(name, told, labels=labels)
    for key, count in tuple(counts.items()):
        family.add_metric(key, count)
    return family


def _outcome(record: RequestRecord) -> str:
    if record.outcome == OK:
        return "2xx"
    if record.outcome == CLIENT_LEFT:
        return CLIENT_LEFT
    if record.status < 400:
        return "broken"
    return "4xx" if record.status < 500 else "5xx"

"""Counts of what happens in line, for Prometheus: waits by class, refusals by reason."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from router.canonical.caller import Priority
from router.canonical.private import public_label
from router.usage.metrics import Histogram

WAIT_S = (0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class QueueMetrics:
    """What a gate tells. Its labels are names of backends from the settings, classes and reasons: all bounded."""

    def __init__(self) -> None:
        self._waits: dict[tuple[str, Priority], Histogram] = {}
        self._refusals: Counter[tuple[str, str]] = Counter()

    def admitted(self, backend: str, priority: Priority, waited_s: float) -> None:
        """A request may run, perhaps at once."""
        key = (public_label(backend), priority)
        waits = self._waits.get(key)
        if waits is None:
            waits = self._waits[key] = Histogram(WAIT_S)
        waits.observe(waited_s)

    def refused(self, backend: str, reason: str) -> None:
        """A request may not wait, or not any longer."""
        self._refusals[public_label(backend), reason] += 1

    def families(self) -> Iterator[Metric]:
        """Everything in Prometheus' form. May run in another thread while counting goes on."""
        told = "From asking for a slot to having it."
        waits = HistogramMetricFamily("turnout_queue_wait_seconds", told, labels=("backend", "class"))
        for (backend, priority), histogram in tuple(self._waits.items()):
            buckets, total = histogram.cumulative()
            waits.add_metric((backend, priority.name.lower()), buckets, total)
        yield waits
        told = "Requests turned away from a line: user_share, full, max_wait, drained, removed."
        refusals = CounterMetricFamily("turnout_queue_refusals", told, labels=("backend", "reason"))
        for (backend, reason), count in tuple(self._refusals.items()):
            refusals.add_metric((backend, reason), count)
        yield refusals

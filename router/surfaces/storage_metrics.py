"""How the database does, for Prometheus."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from router.storage.state import StorageState


def storage_families(state: StorageState) -> Iterator[Metric]:
    """Whether it is well, and what became of records of usage."""
    yield GaugeMetricFamily("turnout_storage_up", "Whether the database does what it is asked.", value=state.ok)
    yield GaugeMetricFamily("turnout_usage_records_waiting", "Records that are not written yet.", value=state.waiting)
    yield CounterMetricFamily("turnout_usage_records_written", "Records in the database.", value=state.written)
    yield CounterMetricFamily("turnout_usage_records_lost", "Records that could not be kept.", value=state.lost)

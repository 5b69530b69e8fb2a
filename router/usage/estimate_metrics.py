"""How good estimates of prompts are, for Prometheus."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from router.usage.calibration import Calibration

_LABELS = ("kind", "model", "text")


def estimate_families(calibration: Calibration) -> Iterator[Metric]:
    """For every model that has counted: by what its estimates are corrected, and how far they are off."""
    factor = GaugeMetricFamily(
        "turnout_estimate_factor", "What estimated prompt tokens are multiplied by.", labels=_LABELS
    )
    error = GaugeMetricFamily(
        "turnout_estimate_error_ratio",
        "Mean error of estimated prompt tokens, as a part of the true count.",
        labels=(*_LABELS, "calibrated"),
    )
    for kind, ratio in calibration:
        labels = (kind.backend, kind.model, "foreign" if kind.foreign else "plain")
        factor.add_metric(labels, ratio.factor)
        error.add_metric((*labels, "no"), ratio.before)
        error.add_metric((*labels, "yes"), ratio.after)
    yield from (factor, error)

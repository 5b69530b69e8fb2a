"""Counting records."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from router.canonical.events import UsageReported
from router.usage.metrics import MAX_SERIES, Histogram, Metrics
from router.usage.record import FailedAttempt
from tests.usage.recorded import recorded


def told(metrics: Metrics) -> list[str]:
    class Scrape(Collector):
        def collect(self):
            return metrics.families()

    registry = CollectorRegistry()
    registry.register(Scrape())
    return generate_latest(registry).decode().splitlines()


def anything(backend: str, model: str) -> str:
    return model


@pytest.mark.parametrize(("kind", "count"), [("prompt", 10), ("completion", 21), ("cached", 4), ("reasoning", 5)])
def test_every_kind_of_token_is_counted(kind, count):
    metrics = Metrics(anything)
    metrics.record(recorded())
    (line,) = (line for line in told(metrics) if f'kind="{kind}"' in line)
    assert line.startswith("turnout_tokens_total{")
    assert 'backend="desk"' in line
    assert line.endswith(f" {count}.0")


def test_the_bounds_of_a_bucket_are_inclusive_and_buckets_add_up():
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        histogram.observe(value)
    assert histogram.cumulative() == ([("1.0", 2), ("2.0", 4), ("+Inf", 5)], 14.0)


def test_a_histogram_without_observations_is_not_shown():
    assert Histogram((1.0,)).cumulative() == ([], 0.0)


@pytest.mark.parametrize(
    ("fields", "speed"),
    [
        ({}, 10.0),
        ({"usage": None}, None),
        ({"usage": UsageReported(prompt=3)}, None),
        ({"usage": UsageReported(completion=1)}, None),
        ({"first_token_s": None}, None),
        ({"first_token_s": 2.5}, None),
        ({"outcome": "client_left"}, None),
    ],
)
def test_speed_is_that_of_the_tokens_after_the_first(fields, speed):
    assert recorded(**fields).tokens_per_s == speed


def test_every_failed_attempt_is_counted_and_those_that_were_followed_are_fallbacks():
    metrics = Metrics(anything)
    failed = (FailedAttempt("desk", "m", "backend_error"), FailedAttempt("lab", "m", "backend_timeout"))
    metrics.record(recorded(outcome="backend_timeout", status=504, attempts=2, failed=failed, backend="lab"))
    lines = told(metrics)
    assert 'turnout_fallbacks_total{backend="desk"} 1.0' in lines
    assert not any(line.startswith('turnout_fallbacks_total{backend="lab"}') for line in lines)
    assert 'turnout_failed_attempts_total{backend="lab",code="backend_timeout"} 1.0' in lines
    assert 'turnout_errors_total{backend="lab",code="backend_timeout"} 1.0' in lines


def test_the_number_of_series_is_bounded_whatever_the_backends_list():
    metrics = Metrics(anything)
    for number in range(MAX_SERIES + 500):
        metrics.record(recorded(model=f"m{number}"))
    lines = [line for line in told(metrics) if line.startswith("turnout_requests_total{")]
    assert len(lines) <= MAX_SERIES + 1
    assert any('backend="other"' in line and line.endswith(" 500.0") for line in lines)

"""`/metrics`, for Prometheus."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from router import __version__
from router.admission.gate import Gate
from router.canonical.caller import Priority
from router.canonical.models import canonical_name
from router.live import Live
from router.relay.fleet import Fleet
from router.routing.catalog import Catalog
from router.routing.health import State
from router.storage.live import Storage
from router.surfaces.drain import Drain
from router.surfaces.storage_metrics import storage_families
from router.usage.calibration import Calibration
from router.usage.estimate_metrics import estimate_families
from router.usage.metrics import LabelOf, Metrics
from router.usage.queue_metrics import QueueMetrics


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted since the start: requests, what befell them in line, and how far prompts were misjudged."""

    requests: Metrics
    queue: QueueMetrics
    calibration: Calibration


class _Scrape(Collector):
    """What was counted, and how things are at this moment."""

    def __init__(
        self, counted: Counted, fleet: Fleet, *, gate: Gate, drain: Drain, live: Live, storage: Storage | None
    ) -> None:
        self._storage = storage
        self._counted = counted
        self._fleet = fleet
        self._gate = gate
        self._drain = drain
        self._live = live

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("turnout", "This router.", {"version": __version__})
        yield from self._counted.requests.families()
        yield from self._counted.queue.families()
        yield from estimate_families(self._counted.calibration)
        if self._storage is not None:
            yield from storage_families(self._storage.state)
        yield GaugeMetricFamily("turnout_requests_in_flight", "Requests under way.", value=self._drain.in_flight)
        up = GaugeMetricFamily("turnout_backend_up", "Whether the backend is up.", labels=("backend",))
        running = GaugeMetricFamily("turnout_backend_in_flight", "Requests at the backend.", labels=("backend",))
        drained = GaugeMetricFamily(
            "turnout_backend_drained", "Whether nothing new is sent there.", labels=("backend",)
        )
        told = "Requests in line for it, one that waits for several counted for each."
        waiting = GaugeMetricFamily("turnout_requests_waiting", told, labels=("backend", "class"))
        queued = self._gate.counts()
        for health in self._fleet.health:
            if health.name in self._fleet.catalog.owners or (
                health.name in self._fleet.optional and health.last_seen is None
            ):
                continue
            backend = (health.name,)
            up.add_metric(backend, health.state is State.UP)
            running.add_metric(backend, health.in_flight)
            drained.add_metric(backend, health.drained)
            for priority in Priority:
                waiting.add_metric((health.name, priority.name.lower()), queued.get((health.name, priority), 0))
        yield from (up, running, drained, waiting)
        yield from _settings(self._live)


def _settings(live: Live) -> Iterator[Metric]:
    reloads = CounterMetricFamily("turnout_config_reloads", "Changes of the settings file.", labels=("result",))
    reloads.add_metric(("applied",), live.applied)
    reloads.add_metric(("refused",), live.refused)
    yield reloads
    told = "Whether the settings file is what is in force."
    yield GaugeMetricFamily("turnout_config_valid", told, value=not live.problems)
    told = "Since when the settings are in force."
    yield GaugeMetricFamily("turnout_config_timestamp_seconds", told, value=live.since)


def metrics_routes(
    counted: Counted, fleet: Fleet, *, gate: Gate, drain: Drain, live: Live, storage: Storage | None
) -> list[HTTPRouteHandler]:
    """The numbers of this router alone: nothing is shared through the process."""
    registry = CollectorRegistry()
    registry.register(_Scrape(counted, fleet, gate=gate, drain=drain, live=live, storage=storage))
    ProcessCollector(registry=registry)

    @get("/metrics", include_in_schema=False)
    async def scrape(request: Request[Any, Any, Any]) -> Response[bytes]:
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(await asyncio.to_thread(encode, registry), media_type=media_type)  # tens of milliseconds

    return [scrape]


def labels_from(fleet: Fleet) -> LabelOf:
    """Labels for the models that aliases lead to or that backends list."""
    catalog, named = fleet.catalog, _named(fleet.catalog)

    def label_of(backend: str, model: str) -> str | None:
        nonlocal catalog, named
        if catalog is not fleet.catalog:
            catalog, named = fleet.catalog, _named(fleet.catalog)
        name = canonical_name(model)
        if (backend, name) in named:
            return name
        is_listed = backend in fleet.catalog.backends and fleet.health[backend].model(model) is not None
        return name if is_listed else None

    return label_of


def _named(catalog: Catalog) -> set[tuple[str, str]]:
    return {
        (target.backend, canonical_name(target.model)) for alias in catalog.aliases.values() for target in alias.targets
    }

"""Asking backends: whether they can be used, and which models they have."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING

from router.backends.inventory import Entry
from router.canonical.adapter import Adapter
from router.canonical.models import ModelInfo, canonical_name
from router.errors import BadRequest, NotFound, StorageUnavailable
from router.relay.fleet import Fleet
from router.routing.prober import Prober
from router.settings.backends import BackendSettings
from router.storage.live import Storage
from router.storage.values import SeenModel

if TYPE_CHECKING:
    from router.doctor.findings import Complaint

CLOSE_S = 5.0
SHOWN_NAMES = 20

MakeAdapter = Callable[[str, BackendSettings], Adapter]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a close look found; `latency_s` is of the whole look, a new connection included."""

    connected: bool
    latency_s: float | None
    version: str | None
    models: tuple[str, ...]
    complaints: "Sequence[Complaint]"


@dataclass(frozen=True, slots=True)
class Known:
    """A model as it was last told; `loaded` None is not known. `last_seen` is seconds since 1970."""

    info: ModelInfo
    last_seen: float | None


class Looks:
    """`made` makes the way to a backend, which is closed after one look."""

    def __init__(self, fleet: Fleet, prober: Prober, storage: Storage | None, made: MakeAdapter) -> None:
        self._fleet = fleet
        self._prober = prober
        self._storage = storage
        self._made = made

    async def test(self, entry: Entry, *, timeout_s: float) -> Verdict:
        """Looks closely, also at one that is switched off; raises BadRequest for one without valid settings."""
        from router.doctor.advice import about_backend
        from router.doctor.look import look_at

        if entry.settings is None:
            raise BadRequest(f"{entry.name} has no valid settings: {entry.problem}")
        adapter = self._made(entry.name, entry.settings)
        try:
            found = await look_at(entry.name, entry.settings, adapter, timeout_s=timeout_s)
        finally:
            async with asyncio.timeout(CLOSE_S):
                await adapter.aclose()
        if self._is_served(entry):
            await self._prober.look(entry.served_as)
        probe = found.probe
        models = tuple(model.name for model in probe.models) if probe else ()
        version = probe.version if probe else None
        return Verdict(probe is not None, found.latency_s, version, models, list(about_backend(found)))

    async def models(self, entry: Entry, *, refresh: bool) -> list[Known]:
        """What it has; of one that does not answer, what it had."""
        if refresh and self._is_served(entry):
            await self._prober.look(entry.served_as)
        infos = self._infos(entry)
        if infos and refresh:
            await self._remember(entry, infos)
        if infos or self._storage is None or not self._storage.opened.is_set():
            return [Known(info, self._seen_at(entry)) for info in infos]
        return [Known(_info(seen), seen.last_seen) for seen in await self._storage.stored.backends.models(entry.id)]

    async def select(self, entry: Entry, model: str) -> str:
        """Makes a model the one of its backend; its full name. Raises NotFound or StorageUnavailable."""
        if self._storage is None:
            raise StorageUnavailable("without a database nothing can be selected: see database and server.data_dir")
        known = await self.models(entry, refresh=False) or await self.models(entry, refresh=True)
        names = [each.info.name for each in known]
        name = next((each for each in names if canonical_name(each) == canonical_name(model)), None)
        if name is None:
            has = ", ".join(names[:SHOWN_NAMES]) or "none that is known"
            raise NotFound(f"{entry.name} has no such model; it has: {has}", param="model")
        if infos := self._infos(entry):
            await self._remember(entry, infos)
        await self._storage.stored.backends.select(entry.id, name)
        return name

    def _is_served(self, entry: Entry) -> bool:
        return entry.is_in_force and entry.served_as in self._fleet.adapters

    def _infos(self, entry: Entry) -> tuple[ModelInfo, ...]:
        return self._fleet.health[entry.served_as].models if self._is_served(entry) else ()

    def _seen_at(self, entry: Entry) -> float | None:
        at = self._fleet.health[entry.served_as].models_at
        return None if at is None else time() - (asyncio.get_running_loop().time() - at)

    async def _remember(self, entry: Entry, infos: Iterable[ModelInfo]) -> None:
        if self._storage is not None and self._storage.opened.is_set():
            seen = [_seen(info, self._seen_at(entry) or time()) for info in infos]
            await self._storage.stored.backends.saw(entry.id, seen)


def _seen(info: ModelInfo, at: float) -> SeenModel:
    return SeenModel(
        name=info.name,
        size=info.size,
        details={
            "created": info.created,
            "family": info.family,
            "parameters": info.parameters,
            "quantization": info.quantization,
            "context_length": info.context_length,
            "capabilities": None if info.capabilities is None else [*sorted(info.capabilities)],
        },
        last_seen=at,
    )


def _info(seen: SeenModel) -> ModelInfo:
    """As far as it was kept; whether it is loaded nobody knows."""
    said = seen.details
    capabilities, context = said.get("capabilities"), said.get("context_length")
    created = said.get("created")
    return ModelInfo(
        name=seen.name,
        size=seen.size,
        created=created if isinstance(created, int) else 0,
        family=str(said.get("family") or ""),
        parameters=str(said.get("parameters") or ""),
        quantization=str(said.get("quantization") or ""),
        context_length=context if isinstance(context, int) else None,
        capabilities=frozenset(map(str, capabilities)) if isinstance(capabilities, list) else None,
    )

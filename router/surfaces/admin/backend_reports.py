"""What `/api/backends` tells: never a key, never the value of a header."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import time
from typing import Any

from msgspec import Struct

from router.backends.changes import Changed, Changes, Written
from router.backends.inventory import Entry, Inventory
from router.backends.looks import Known, Looks, Verdict
from router.canonical.models import canonical_name
from router.errors import NotFound
from router.live import Live
from router.relay.fleet import Fleet
from router.routing.catalog import Alias
from router.routing.health import BackendHealth


@dataclass(frozen=True, slots=True)
class BackendDesk:
    """What people may do with backends, and how those that are served fare."""

    inventory: Inventory
    changes: Changes
    looks: Looks
    fleet: Fleet
    live: Live

    def health(self, entry: Entry) -> BackendHealth | None:
        """None for one that is not served."""
        is_served = entry.is_in_force and entry.served_as in self.fleet.adapters
        return self.fleet.health[entry.served_as] if is_served else None


class FileReport(Struct):
    """What became of the settings file; `backup` is the name of the old one beside it. Keys are hidden."""

    diff: str
    backup: str
    in_force: bool


class BackendReport(Struct):
    """A backend; those `read_only` can be changed by nobody here, those from the file only with `write_file=true`.

    `options` are its other settings that are not as usual, `user_id` whose private one it is. `file` is told when it
    was changed.
    """

    id: str
    name: str
    type: str
    url: str
    enabled: bool
    source: str
    read_only: bool
    problem: str | None
    state: str
    selected_model: str | None
    has_api_key: bool
    header_names: list[str]
    options: dict[str, Any]
    created_at: float | None
    updated_at: float | None
    user_id: str | None = None
    file: FileReport | None = None


class RemovedReport(Struct):
    """So many requests finish there; nothing new is sent."""

    id: str
    name: str
    in_flight: int
    file: FileReport | None = None


class StatusReport(Struct):
    """How a backend is; `last_ping` is seconds since 1970, `queue` how many wait for it."""

    id: str
    name: str
    source: str
    state: str
    selected_model: str | None
    last_ping: float | None
    latency_ms: float | None
    in_flight: int
    queue: int
    drained: bool
    models: int
    version: str | None
    last_error: str | None


class ComplaintReport(Struct):
    """One thing that is wrong, and how to mend it."""

    code: str
    severity: str
    place: str
    what: str
    mend: str


class TestReport(Struct):
    """What a close look found."""

    connected: bool
    latency_ms: float | None
    version: str | None
    models: list[str]
    complaints: list[ComplaintReport]


class ModelReport(Struct):
    """A model; `size` is bytes, `context` tokens, times are seconds since 1970. None is not known.

    `digest` is another when the model is another under its old name.
    """

    name: str
    size: int | None
    modified: int | None
    family: str | None
    parameters: str | None
    quantization: str | None
    capabilities: list[str] | None
    context: int | None
    loaded: bool | None
    selected: bool
    last_seen: float | None
    digest: str | None


class AliasReport(Struct):
    """A name for clients; all of them are from the settings file."""

    name: str
    targets: list[str]
    tags: list[str]
    strategy: str
    local_only: bool
    source: str = "file"
    read_only: bool = True


def backend_report(desk: BackendDesk, entry: Entry, written: Written | None = None) -> BackendReport:
    said = entry.definition
    return BackendReport(
        id=entry.id,
        name=entry.name,
        type=said.kind,
        url=said.url,
        enabled=said.enabled,
        source=entry.source,
        read_only=not desk.changes.is_writable(entry),
        problem=entry.problem or None,
        state=_state(desk, entry),
        selected_model=desk.inventory.selected(entry),
        has_api_key=said.api_key is not None,
        header_names=sorted(said.headers),
        options=dict(said.options),
        created_at=entry.created_at,
        updated_at=entry.updated_at,
        user_id=entry.owner_id,
        file=_file(written),
    )


def changed_report(desk: BackendDesk, changed: Changed) -> BackendReport:
    if changed.entry is None:
        raise NotFound("somebody has removed the backend meanwhile")
    return backend_report(desk, changed.entry, changed.written)


def removed_report(desk: BackendDesk, entry: Entry, changed: Changed) -> RemovedReport:
    leaves = entry.is_in_force and entry.served_as in desk.fleet.leaving
    running = desk.fleet.health[entry.served_as].in_flight if leaves else 0
    return RemovedReport(entry.id, entry.name, running, _file(changed.written))


def status_report(desk: BackendDesk, entry: Entry) -> StatusReport:
    health = desk.health(entry)
    looked = health.last_look if health else None
    latency_s = health.latency_s if health else None
    return StatusReport(
        id=entry.id,
        name=entry.name,
        source=entry.source,
        state=_state(desk, entry),
        selected_model=desk.inventory.selected(entry),
        last_ping=None if looked is None else time() - (asyncio.get_running_loop().time() - looked),
        latency_ms=_ms(latency_s),
        in_flight=health.in_flight if health else 0,
        queue=desk.fleet.experience.waiting(entry.served_as) if health else 0,
        drained=health.drained if health else False,
        models=len(health.models) if health else 0,
        version=health.version if health else None,
        last_error=(health.last_error if health else entry.problem) or None,
    )


async def tested_report(desk: BackendDesk, entry: Entry) -> TestReport:
    """Looks closely; raises BadRequest for a backend without valid settings."""
    return _test_report(await desk.looks.test(entry, timeout_s=desk.live.settings.health.timeout_s))


async def models_report(desk: BackendDesk, entry: Entry, *, refresh: bool) -> list[ModelReport]:
    return [_model_report(desk, entry, known) for known in await desk.looks.models(entry, refresh=refresh)]


async def selected_report(desk: BackendDesk, entry: Entry, model: str) -> BackendReport:
    """Makes a model the one of its backend; raises NotFound or StorageUnavailable."""
    await desk.looks.select(entry, model)
    return backend_report(desk, entry)


def _test_report(verdict: Verdict) -> TestReport:
    complaints = [
        ComplaintReport(each.code, each.severity, each.place, each.what, each.mend) for each in verdict.complaints
    ]
    return TestReport(verdict.connected, _ms(verdict.latency_s), verdict.version, list(verdict.models), complaints)


def _model_report(desk: BackendDesk, entry: Entry, known: Known) -> ModelReport:
    info, health = known.info, desk.health(entry)
    selected = desk.inventory.selected(entry)
    loaded = health.has_loaded(canonical_name(info.name), asyncio.get_running_loop().time()) if health else None
    return ModelReport(
        name=info.name,
        size=info.size,
        modified=info.created or None,
        family=info.family or None,
        parameters=info.parameters or None,
        quantization=info.quantization or None,
        capabilities=None if info.capabilities is None else sorted(info.capabilities),
        context=info.context_length,
        loaded=loaded if health and health.models else None,
        selected=selected is not None and canonical_name(selected) == canonical_name(info.name),
        last_seen=known.last_seen,
        digest=info.digest or None,
    )


def alias_reports(aliases: Mapping[str, Alias]) -> list[AliasReport]:
    return [
        AliasReport(
            name=alias.name,
            targets=[str(target) for target in alias.targets],
            tags=sorted(alias.tags),
            strategy="score" if alias.scored else "ordered",
            local_only=alias.local_only,
        )
        for alias in aliases.values()
    ]


def _state(desk: BackendDesk, entry: Entry) -> str:
    if entry.problem or entry.settings is None:
        return "unusable"
    health = desk.health(entry)
    return "disabled" if health is None else health.state.value


def _file(written: Written | None) -> FileReport | None:
    return None if written is None else FileReport(written.diff, written.backup, written.in_force)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)

"""Every backend there is: of the settings file, of the database, private ones too, and found by looking around."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from router.canonical.private import private_name
from router.errors import NotFound
from router.reload import Reload
from router.settings.backends import BackendSettings
from router.storage.roster import Added, Roster, options_of
from router.storage.values import BackendDefinition

Origin = Literal["file", "database", "found"]
HIDDEN = "the settings file has a backend of that name, which is used instead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A backend; without `settings` it cannot be used. `id` is the name for all but those of the database.

    `owner_id` is the user whose private one it is.
    """

    id: str
    name: str
    source: Origin
    definition: BackendDefinition
    settings: BackendSettings | None
    problem: str = ""
    created_at: float | None = None
    updated_at: float | None = None
    owner_id: str | None = None

    @property
    def served_as(self) -> str:
        """The router's name for it."""
        return private_name(self.name, self.owner_id) if self.owner_id else self.name

    @property
    def is_in_force(self) -> bool:
        """Whether the name stands for this one, and it gets work."""
        return not self.problem and self.settings is not None and self.settings.enabled


class Inventory:
    def __init__(self, reload: Reload, roster: Roster, *, found: frozenset[str] = frozenset()) -> None:
        self._reload = reload
        self._roster = roster
        self._found = found

    def __iter__(self) -> Iterator[Entry]:
        """Everybody's: the settings' backends in their order, then the database's by name."""
        written = self._reload.written.backends
        for name, settings in written.items():
            yield self._of_settings(name, settings)
        for shared in self._roster.shared:
            yield _of_database(shared, hidden=shared.stored.definition.name in written)

    def __getitem__(self, backend_id: str) -> Entry:
        """By id, also a private one; raises NotFound."""
        private = (_of_database(each, hidden=False) for each in self._roster.private)
        return _by_id(backend_id, (*self, *private))

    def of(self, user_id: str) -> tuple[Entry, ...]:
        """The private ones of a user, by name."""
        mine = (each for each in self._roster.private if each.stored.owner_id == user_id)
        return tuple(_of_database(each, hidden=False) for each in mine)

    def own(self, user_id: str, backend_id: str) -> Entry:
        """A private one of a user by id; raises NotFound, also for what is another's or everybody's."""
        return _by_id(backend_id, self.of(user_id))

    def named(self, name: str) -> Entry | None:
        """The one that the name stands for, private ones aside."""
        return next((entry for entry in self if entry.name == name), None)

    def selected(self, entry: Entry) -> str | None:
        """The model that somebody selected there."""
        return self._roster.selected.get(entry.id)

    def _of_settings(self, name: str, settings: BackendSettings) -> Entry:
        source: Origin = "found" if name in self._found else "file"
        return Entry(id=name, name=name, source=source, definition=_public(name, settings), settings=settings)


def _by_id(backend_id: str, entries: Iterable[Entry]) -> Entry:
    for entry in entries:
        if entry.id == backend_id:
            return entry
    raise NotFound("there is no such backend")


def _of_database(added: Added, *, hidden: bool) -> Entry:
    stored = added.stored
    return Entry(
        id=stored.id,
        name=stored.definition.name,
        source="database",
        definition=stored.definition,
        settings=added.settings,
        problem=HIDDEN if hidden else added.problem,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
        owner_id=stored.owner_id,
    )


def _public(name: str, settings: BackendSettings) -> BackendDefinition:
    """Enough to show it."""
    return BackendDefinition(
        name=name,
        kind=settings.type,
        url=settings.url,
        enabled=settings.enabled,
        api_key="set" if settings.api_key else None,
        headers=dict.fromkeys(settings.headers, "set"),
        options={**options_of(settings), **_run_here(settings)},
    )


def _run_here(settings: BackendSettings) -> dict[str, JsonValue]:
    """Of a process of the router what nobody minds to show: no path and no argument."""
    launch = settings.launch
    return {} if launch is None else {"launch": {"model": Path(launch.model).name, "when": launch.when}}

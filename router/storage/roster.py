"""The backends that the database adds to those of the settings, in memory."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue, ValidationError

from router.canonical.private import private_name
from router.settings.backends import BackendSettings
from router.settings.checks import cross_check
from router.storage.values import BackendDefinition, StoredBackend

logger = logging.getLogger(__name__)

NO_LAUNCH = "only a backend of the settings file can have launch, since it names a command to run"


@dataclass(frozen=True, slots=True)
class Additions:
    """Backends of everybody by name; private ones by the router's names for them, with the ids of their owners.

    `ids` are those of all of them by the router's names; `selected` is a model for each backend, by its id or, for one
    of the settings, its name.
    """

    shared: Mapping[str, BackendSettings] = field(default_factory=dict[str, BackendSettings])
    private: Mapping[str, BackendSettings] = field(default_factory=dict[str, BackendSettings])
    owners: Mapping[str, str] = field(default_factory=dict[str, str])
    ids: Mapping[str, str] = field(default_factory=dict[str, str])
    selected: Mapping[str, str] = field(default_factory=dict[str, str])


Taker = Callable[[Additions], None]
"""Takes backends into service; those that it got before and gets no more go out of service."""


@dataclass(frozen=True, slots=True)
class Added:
    """A backend of the database; without `settings` it cannot be used, and `problem` says why."""

    stored: StoredBackend
    settings: BackendSettings | None
    problem: str = ""


class Roster:
    """Kept in step with the database. `taker` hears of every change; `selected` is a model for each backend, by id."""

    def __init__(self) -> None:
        self.shared: tuple[Added, ...] = ()
        self.private: tuple[Added, ...] = ()
        self.selected: Mapping[str, str] = {}
        self.taker: Taker = lambda _: None
        self._stored: tuple[StoredBackend, ...] = ()

    def become(self, stored: Sequence[StoredBackend], selected: Mapping[str, str]) -> None:
        """What the database says now; in force when this returns."""
        if (tuple(stored), selected) == (self._stored, self.selected):
            return
        self.selected = selected
        if tuple(stored) != self._stored:
            self._stored, read = tuple(stored), [_read(each) for each in stored]
            self.shared = tuple(each for each in read if each.stored.owner_id is None)
            self.private = tuple(each for each in read if each.stored.owner_id is not None)
        self.taker(self._additions())

    def _additions(self) -> Additions:
        return Additions(
            {each.stored.definition.name: each.settings for each in self.shared if each.settings is not None},
            {_private_name(each): each.settings for each in self.private if each.settings is not None},
            {_private_name(each): each.stored.owner_id or "" for each in self.private},
            {
                **{each.stored.definition.name: each.stored.id for each in self.shared},
                **{_private_name(each): each.stored.id for each in self.private},
            },
            self.selected,
        )

    def find(self, backend_id: str) -> Added | None:
        return next((each for each in self.shared if each.stored.id == backend_id), None)


def _private_name(added: Added) -> str:
    return private_name(added.stored.definition.name, added.stored.owner_id or "")


def settings_of(definition: BackendDefinition) -> BackendSettings:
    """Raises ValidationError."""
    return BackendSettings.model_validate(document_of(definition))


def document_of(definition: BackendDefinition) -> dict[str, JsonValue]:
    """As the settings file would have it, secrets included."""
    document: dict[str, JsonValue] = {**definition.options, "type": definition.kind, "url": definition.url}
    if not definition.enabled:
        document["enabled"] = False
    if definition.api_key:
        document["api_key"] = definition.api_key
    if definition.headers:
        document["headers"] = dict(definition.headers)
    return document


def definition_of(name: str, settings: BackendSettings) -> BackendDefinition:
    """What is kept: only what was said, the rest stays as the defaults are."""
    return BackendDefinition(
        name=name,
        kind=settings.type,
        url=settings.url,
        enabled=settings.enabled,
        api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        headers={key: value.get_secret_value() for key, value in settings.headers.items()},
        options=options_of(settings),
    )


def options_of(settings: BackendSettings) -> dict[str, JsonValue]:
    """What was said besides what every backend has, nothing secret."""
    said = {"type", "url", "enabled", "api_key", "headers"}
    return settings.model_dump(mode="json", exclude=said, exclude_defaults=True)


def _read(stored: StoredBackend) -> Added:
    definition = stored.definition
    try:
        settings = settings_of(definition)
        conflicts = cross_check({"backends": {definition.name: document_of(definition)}})
        problem = NO_LAUNCH if settings.launch is not None else conflicts[0].message if conflicts else ""
    except ValidationError as error:
        settings, problem = (
            None,
            "; ".join(each["msg"] for each in error.errors(include_input=False, include_url=False)),
        )
    if problem:
        logger.error("backend %s of the database is not used: %s", definition.name, problem)
    return Added(stored, None if problem else settings, problem)

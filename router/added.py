"""Backends that were added at run time, beside those of the settings."""

import logging
from collections.abc import Callable, Mapping, Sequence

from pydantic import ValidationError

from router.canonical.private import private_name
from router.settings import Settings
from router.settings.backends import BackendSettings
from router.storage.values import BackendDefinition, StoredBackend

logger = logging.getLogger(__name__)


class Added:
    """`changed` is called whenever they are others than before. `owners` are those of the private ones among them."""

    def __init__(self) -> None:
        self.backends: Mapping[str, BackendSettings] = {}
        self.owners: Mapping[str, str] = {}
        self.changed: Callable[[], None] = lambda: None

    def replace(self, stored: Sequence[StoredBackend]) -> None:
        """These and no others from now on."""
        backends = {_name(each): settings for each in stored if (settings := _settings(each)) is not None}
        owners = {_name(each): each.owner_id for each in stored if each.owner_id and _name(each) in backends}
        if (backends, owners) != (self.backends, self.owners):
            self.backends, self.owners = backends, owners
            self.changed()

    def beside(self, settings: Settings) -> Settings:
        """The settings with these; a name that the file has as well is the file's."""
        if not self.backends:
            return settings
        return settings.model_copy(update={"backends": {**settings.backends, **self._others(settings)}})

    def _others(self, settings: Settings) -> Mapping[str, BackendSettings]:
        return {name: backend for name, backend in self.backends.items() if name not in settings.backends}


def settings_of(definition: BackendDefinition) -> BackendSettings:
    """As the file would have it; raises ValidationError."""
    return BackendSettings.model_validate(
        {
            **definition.options,
            "type": definition.kind,
            "url": definition.url,
            "enabled": definition.enabled,
            "api_key": definition.api_key,
            "headers": dict(definition.headers),
        }
    )


def _name(stored: StoredBackend) -> str:
    name = stored.definition.name
    return private_name(name, stored.owner_id) if stored.owner_id else name


def _settings(stored: StoredBackend) -> BackendSettings | None:
    try:
        return settings_of(stored.definition)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, each["loc"])) for each in error.errors(include_input=False))
        logger.error("backend %s of the database is left out: wrong are %s", stored.id, where)  # noqa: TRY400 (no values)
        return None

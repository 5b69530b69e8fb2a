"""Adding, changing and removing backends: in the database, or, where that is asked, in the settings file."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from pydantic import JsonValue, ValidationError

from router.backends.inventory import Entry, Inventory
from router.config import ConfigError
from router.config_watch import Watch
from router.errors import AlreadyExists, BadRequest, Conflict, NotFound, ReadOnly, StorageUnavailable
from router.reload import Reload
from router.settings.address import is_served_here
from router.settings.backends import BackendSettings
from router.settings.checks import cross_check
from router.storage.live import Storage
from router.storage.roster import NO_LAUNCH, definition_of, document_of

if TYPE_CHECKING:
    from router.config_edit.changes import Change
    from router.storage.backends import Backends

MAX_TOLD = 500
MAX_PRIVATE = 20
"""Private backends of one user: each is looked at for as long as it is there."""
RESERVED = frozenset({"status"})
NO_DATABASE = "this router keeps nothing: see database and server.data_dir in its settings"
NO_FILE = "there is no settings file to write into"

Document = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the settings file; `backup` is the name of the old one beside it. Keys are hidden in `diff`."""

    diff: str
    backup: str
    in_force: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """A backend as it is now, None if it is gone; and the file, if that was changed."""

    entry: Entry | None
    written: Written | None = None


class Changes:
    """Whatever is changed is in force when its method returns."""

    def __init__(self, inventory: Inventory, storage: Storage | None, reload: Reload, *, watch: Watch | None) -> None:
        self._inventory = inventory
        self._storage = storage
        self._reload = reload
        self._watch = watch
        self._turn = asyncio.Lock()  # a change begins with what the one before has left

    def is_writable(self, entry: Entry) -> bool:
        """Whether it can be changed at all, be it in the file."""
        return entry.source == "database" or (entry.source == "file" and self._watch is not None)

    async def add(self, name: str, given: Document, *, write_file: bool) -> Changed:
        """Raises BadRequest, AlreadyExists, ReadOnly, Conflict or StorageUnavailable."""
        if name in RESERVED:
            raise BadRequest(f"a backend cannot be called {name}", param="name")
        if self._inventory.named(name) is not None:
            raise AlreadyExists(f"there is a backend {name} already", param="name")
        settings = self._checked(name, given)
        if write_file:
            from router.config_edit.changes import add_backend

            return await self._written(name, add_backend(name, _literal(given)))
        stored = await self._stored.add(definition_of(name, settings))
        return Changed(self._entry(stored.id))

    async def add_private(self, user_id: str, name: str, given: Document) -> Changed:
        """One that this user alone sees and uses; the name may be that of a shared one. Raises what `add` raises,
        NotFound for an unknown user.
        """
        settings = self._checked(name, given)
        async with self._turn:
            if len(self._inventory.of(user_id)) >= MAX_PRIVATE:
                raise Conflict(f"a user has at most {MAX_PRIVATE} backends of their own")
            stored = await self._stored.add(definition_of(name, settings), owner_id=user_id)
        return Changed(self._entry(stored.id))

    async def change_private(self, entry: Entry, given: Document) -> Changed:
        """As `change`, for one of the user's own: what is secret there may be another's, and follows to no other
        address.
        """
        async with self._turn:
            before = document_of(self._inventory[entry.id].definition)
            kept = [name for name in ("api_key", "headers") if before.get(name) and name not in given]
            if kept and given.get("url", before["url"]) != before["url"]:
                raise BadRequest(f"with another url, say {' and '.join(kept)} again, or null", param=kept[0])
            return await self._replaced(entry, given)

    async def change(self, entry: Entry, given: Document, *, write_file: bool) -> Changed:
        """Takes over what is given; None takes a setting out. Raises what `add` raises."""
        if entry.source != "database":
            from router.config_edit.changes import update_backend

            self._may_write(entry, asked=write_file)
            return await self._written(entry.name, update_backend(entry.name, _literal(given)))
        async with self._turn:
            return await self._replaced(entry, given)

    async def remove(self, entry: Entry, *, write_file: bool) -> Changed:
        """Nothing new is sent there; what runs there finishes. Raises what `add` raises."""
        if entry.source != "database":
            from router.config_edit.changes import remove_backend

            self._may_write(entry, asked=write_file)
            return await self._written(entry.name, remove_backend(entry.name))
        await self._stored.remove(entry.id)
        return Changed(None)

    async def _replaced(self, entry: Entry, given: Document) -> Changed:
        merged = {**document_of(self._inventory[entry.id].definition), **given}
        settings = self._checked(entry.name, {key: value for key, value in merged.items() if value is not None})
        await self._stored.replace(entry.id, definition_of(entry.name, settings))
        return Changed(self._entry(entry.id))

    def _checked(self, name: str, given: Document) -> BackendSettings:
        settings = checked(name, given)
        if is_served_here(settings.url, self._reload.live.settings.server.ports):
            raise BadRequest("the router itself listens there: requests would go round for ever", param="url")
        return settings

    def _entry(self, backend_id: str) -> Entry:
        try:
            return self._inventory[backend_id]
        except NotFound:
            raise StorageUnavailable("it is stored, and comes into force when the database can be read again") from None

    @property
    def _stored(self) -> "Backends":
        if self._storage is None:
            raise StorageUnavailable(NO_DATABASE)
        return self._storage.stored.backends

    def _may_write(self, entry: Entry, *, asked: bool) -> None:
        if entry.source == "found":
            raise ReadOnly(f"{entry.name} was found on this machine: it is in no file and in no database")
        if not asked:
            raise ReadOnly(f"{entry.name} is from the settings file: ask with write_file=true to have that changed")

    async def _written(self, name: str, change: "Change") -> Changed:
        from router.config_edit import EditRefused
        from router.config_edit.file import edit_file

        if self._watch is None:
            raise ReadOnly(NO_FILE)
        source = self._watch.source
        try:
            async with self._turn:
                edited = await asyncio.to_thread(edit_file, source.path, change, environ=source.environ)
        except EditRefused as error:
            raise Conflict(str(error)) from None
        except ConfigError as error:
            told = "; ".join(str(replace(each, source=source.path.name)) for each in error.problems)
            raise Conflict(f"the file would not be valid: {told}"[:MAX_TOLD]) from None
        await self._watch.now()
        is_in_force = not self._reload.live.problems
        backup = edited.backup.name if edited.backup else ""
        return Changed(self._inventory.named(name), Written(edited.diff, backup, is_in_force))


def checked(name: str, given: Document) -> BackendSettings:
    """What is given as settings; raises BadRequest, which never repeats a value."""
    try:
        settings = BackendSettings.model_validate(given)
    except ValidationError as error:
        raise BadRequest(told(error)) from None
    if settings.launch is not None:
        raise BadRequest(NO_LAUNCH, param="launch")
    if conflicts := cross_check({"backends": {name: given}}):
        worst = conflicts[0]
        raise BadRequest(f"{worst.message} ({worst.hint})" if worst.hint else worst.message)
    return settings


def told(error: ValidationError) -> str:
    """What is wrong, field by field; of a header not even its name, which a slip can fill with a secret."""
    lines = [
        f"{'.'.join(map(str, each['loc'][:1] if each['loc'][:1] == ('headers',) else each['loc']))}: {each['msg']}"
        for each in error.errors(include_input=False, include_url=False)
    ]
    return "; ".join(line.removeprefix(": ") for line in lines)[:MAX_TOLD]


def _literal(given: Mapping[str, JsonValue]) -> Document:
    """Texts that mean themselves: whoever may use the API may not read the router's environment."""
    return cast("Document", _escaped(dict(given)))


def _escaped(value: JsonValue) -> JsonValue:
    from router.config_edit.changes import literal

    if isinstance(value, str):
        return literal(value)
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return value

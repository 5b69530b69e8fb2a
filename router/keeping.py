"""Who may call and what is kept, from the settings."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_bytes

from router.access.callers import Callers
from router.access.directory import KeyDirectory, KnownKey, Snapshot
from router.access.keys import NewKey, digest
from router.access.limits import Limits
from router.access.networks import parse_network
from router.access.principal import Principal, Scope
from router.canonical.caller import Priority
from router.config_watch import Source
from router.settings import Settings
from router.settings.serving import AuthSettings, KeySettings
from router.storage.live import Memory, Place, Storage
from router.storage.roster import Roster
from router.surfaces.door import Door


@dataclass(frozen=True, slots=True)
class Keeping:
    """The door with its locks, and the database if there is one; `source` is the file that the settings came from."""

    door: Door
    locks: "Locks"
    storage: Storage | None
    roster: Roster
    source: Source | None = None


def keeping_of(settings: Settings, first_key: Callable[[NewKey], None] | None = None) -> Keeping:
    """Opens nothing yet. `first_key` is given the key that a database without users gets; None makes none."""
    limits, stored, roster = Limits(), KeyDirectory(), Roster()
    place = place_of(settings)
    callers = Callers(KeyDirectory(), stored if place else None)
    door = Door(callers, limits)
    locks = Locks(door, callers)
    locks.replace(settings.auth)
    storage = Storage(place, Memory(callers, stored, limits, roster), first_key=first_key) if place else None
    return Keeping(door, locks, storage, roster)


def place_of(settings: Settings) -> Place | None:
    """Where the database is, if there is one."""
    database, folder = settings.database, settings.server.data_folder
    url = database.url.get_secret_value() if database.url else ""
    if not database.enabled or not (url or folder):
        return None
    return Place(url, folder, os.environ, database.keep_days)


class Locks:
    """What the settings say of who may call, which may change while the router runs."""

    def __init__(self, door: Door, callers: Callers) -> None:
        self._door = door
        self._callers = callers

    def replace(self, auth: AuthSettings) -> None:
        """Counts from the next request on."""
        self._callers.become(_written(auth.api_keys), required=auth.required)
        self._door.trust(parse_network(network) for network in auth.trusted_proxies)


def _written(keys: tuple[KeySettings, ...]) -> Snapshot:
    """The keys of the settings, hashed with a pepper of this process."""
    pepper = token_bytes(32)
    known = [KnownKey(digest(key.key.get_secret_value(), pepper), _principal(key)) for key in keys]
    return Snapshot.of(known, pepper=pepper, asks=bool(known))


def _principal(key: KeySettings) -> Principal:
    return Principal(
        key_id=sha256(key.key.get_secret_value().encode()).hexdigest()[:8],
        name=key.name,
        key_name=key.name,
        scopes=frozenset(Scope(scope) for scope in key.scopes),
        models=key.models,
        priority=None if key.priority is None else Priority[key.priority.upper()],
        local_only=key.local_only,
    )

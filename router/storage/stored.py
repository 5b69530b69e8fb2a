"""All that an open database offers."""

from dataclasses import dataclass
from time import monotonic

from router.storage.api_keys import ApiKeys, keys_into
from router.storage.backends import Backends, backends_into
from router.storage.database import Database, Opening
from router.storage.live import Memory
from router.storage.networks import AllowedNetworks, networks_into
from router.storage.usage import Usage, spending_into
from router.storage.usage_buffer import UsageBuffer
from router.storage.users import Users


@dataclass(frozen=True, slots=True)
class Stored:
    """One object for each thing that is kept."""

    database: Database
    users: Users
    keys: ApiKeys
    backends: Backends
    networks: AllowedNetworks
    usage: Usage

    @classmethod
    def of(cls, database: Database) -> "Stored":
        return cls(
            database,
            Users(database),
            ApiKeys(database),
            Backends(database),
            AllowedNetworks(database),
            Usage(database),
        )


def opening(memory: Memory, usage: UsageBuffer) -> Opening:
    """What is told of changes, and where usage comes from."""
    return Opening(
        listeners=(keys_into(memory.keys), networks_into(memory.callers), backends_into(memory.roster)),
        seeds=(spending_into(memory.limits, monotonic=monotonic),),
        buffer=usage,
    )

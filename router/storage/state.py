"""How a database does, for health and metrics."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StorageState:
    """`reason` says in plain words why it is not ok; the numbers count records of usage."""

    ok: bool
    reason: str
    waiting: int
    written: int
    lost: int

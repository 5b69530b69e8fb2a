"""The settings that are in force, and what became of the last change of their file."""

from dataclasses import dataclass, field
from time import time

from router.settings import Settings


@dataclass(slots=True)
class Live:
    """`problems` are those of a file that was refused, without its path; none when the file is what is in force.

    `waiting` are settings that the file has changed and that need a restart.
    """

    settings: Settings
    problems: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    applied: int = 0
    refused: int = 0
    since: float = field(default_factory=time)
    """When the settings in force were taken over, in seconds since 1970."""

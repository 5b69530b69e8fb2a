"""What is asked of a lane and what it answers: claims, limits, verdicts, entries. Values only."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal

from router.canonical.caller import Priority


def fits_always(_: AbstractSet[str]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Claim:
    """One request that wants to run on one backend. Times are seconds of a monotonic clock.

    A request that waits on several backends has a claim, and a ticket, for each of them. One that moves on to another
    backend keeps `at`. `user` is the key's id; "" is nobody in particular, whose share is not bounded.
    """

    ticket: int
    backend: str
    model: str  # the canonical name on that backend
    user: str
    priority: Priority
    at: float
    alias: str = ""  # this and the next are only shown
    source: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a lane may do at once, and how long its queue may grow. None, or no entry, is no limit."""

    max_parallel: int | None = None  # the whole lane
    per_backend: Mapping[str, int | None] = field(default_factory=dict[str, int | None])
    per_model: Mapping[str, int | None] = field(default_factory=dict[str, int | None])  # by backend: on one model of it
    reloading: frozenset[str] = frozenset()  # backends that swap models: Ollama
    sharing: frozenset[str] = frozenset()  # backends that are started for requests, within what `fits` side by side
    fits: Callable[[AbstractSet[str]], bool] = fits_always
    max_depth: int = 100
    max_per_user: int = 50
    max_wait_s: float = 120  # the gate sends a claim away then; the lane only ages by it
    min_residency_s: float = 30  # how long a loaded model stays though better or older claims want another


@dataclass(frozen=True, slots=True)
class Granted:
    """It may run now. `load`: the backend has to load the model first, as far as the lane knows."""

    load: bool = False


@dataclass(frozen=True, slots=True)
class Queued:
    """It waits: `Lane.position` and `Lane.eta` say where, for whoever asks."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not in the queue. `user_share`: its user waits often enough already (429); `full`: everybody does (503)."""

    reason: Literal["user_share", "full"]
    retry_after_s: float


Verdict = Granted | Queued | Refused


@dataclass(frozen=True, slots=True)
class Entry:
    """A waiting claim as people see it; `eta_s` is a guess from the measured service times."""

    claim: Claim
    position: int
    waited_s: float
    eta_s: float

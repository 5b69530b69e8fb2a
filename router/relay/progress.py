"""How far a request has come, and what there is to choose from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from router.canonical.adapter import Adapter
from router.canonical.events import UsageReported
from router.routing.catalog import Catalog
from router.routing.health import Health
from router.usage.meter import Meter
from router.usage.record import FailedAttempt


@dataclass(slots=True)
class Progress:
    """How far a request has come: what the answer's headers say, whether it succeeds or fails.

    `sole` is whether there is only one model on one backend that may serve it, `committed` whether a backend has begun
    to answer, so that no other can take over. `usage` is what a whole answer has cost, once that is known; `meter` is
    that of the last attempt, `failed` are those that failed.

    `waiting` is what is waited for, in words for the client, or empty. `hedge` is whether a second candidate that was
    asked at the same time won or lost. `resumed` is how often another went on where a stream broke off.
    `out_of_budget` is whether a further attempt was wanted and not made.
    """

    operation: str = ""
    reason: str = ""
    attempts: int = 0
    backend: str = ""
    model: str = ""
    dropped: tuple[str, ...] = ()
    warning: str = ""
    sole: bool = False
    committed: bool = False
    waiting: str = ""
    hedge: Literal["", "won", "lost"] = ""
    resumed: int = 0
    out_of_budget: bool = False
    usage: UsageReported | None = None
    meter: Meter | None = None
    failed: list[FailedAttempt] = field(default_factory=list[FailedAttempt])

    def rival(self) -> "Progress":
        """That of a second candidate which is asked at the same time; what has failed so far is one list."""
        return replace(self, waiting="", dropped=(), warning="", meter=None)

    def taken_over(self, rival: "Progress") -> None:
        """The second candidate has won."""
        self.backend, self.model, self.dropped = rival.backend, rival.model, rival.dropped
        self.warning, self.meter = rival.warning, rival.meter
        self.committed, self.waiting, self.hedge = True, "", "won"


@dataclass(frozen=True, slots=True)
class Fleet:
    """What there is to choose from: the settings' snapshot, the state of every backend, and the way to each."""

    catalog: Catalog
    health: Health
    adapters: Mapping[str, Adapter]
    totals: Mapping[str, float] = field(default_factory=dict[str, float])
    """The longest a request may take on each backend, in seconds."""
    optional: frozenset[str] = frozenset()
    """Backends that nobody configured: places where one may turn up."""

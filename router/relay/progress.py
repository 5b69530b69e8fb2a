"""How far a request has come, and what there is to choose from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from router.canonical.adapter import Adapter
from router.canonical.events import UsageReported
from router.errors import ContextLengthExceeded
from router.routing.catalog import Catalog
from router.routing.health import Health
from router.usage.estimate import Count
from router.usage.meter import Meter
from router.usage.record import FailedAttempt


@dataclass(slots=True)
class Progress:
    """How far a request has come: what the answer's headers say, whether it succeeds or fails.

    `sole` is whether there is only one model on one backend that may serve it, `committed` whether a backend has begun
    to answer, so that no other can take over. `usage` is what a whole answer has cost, once that is known; `meter` is
    that of the last attempt, `failed` are those that failed. `count` is the prompt's estimate, if one was needed;
    `too_long` is what to say where the candidates that it does not fit were left out and all others failed;
    `is_cut` is whether the backend cut the prompt, and `window` the tokens that its model has room for.
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
    usage: UsageReported | None = None
    meter: Meter | None = None
    count: Count | None = None
    too_long: ContextLengthExceeded | None = None
    is_cut: bool = False
    window: int | None = None
    failed: list[FailedAttempt] = field(default_factory=list[FailedAttempt])


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

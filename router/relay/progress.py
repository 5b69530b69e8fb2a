"""How far a request has come, and what there is to choose from."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from random import random
from typing import Literal, Protocol

from router.admission.gate import Stay
from router.canonical.adapter import Adapter
from router.canonical.events import UsageReported
from router.canonical.request import ChatRequest
from router.errors import ContextLengthExceeded
from router.routing.catalog import Catalog, Target
from router.routing.health import Health
from router.routing.plan import Experience, Plan, plan
from router.routing.wanted import Wanted
from router.usage.meter import Meter
from router.usage.prompt import Count
from router.usage.record import FailedAttempt, RequestRecord


@dataclass(slots=True)
class Progress:
    """How far a request has come: what the answer's headers say, whether it succeeds or fails.

    `sole` is whether there is only one model on one backend that may serve it, `committed` whether a backend has begun
    to answer, so that no other can take over. `usage` is what a whole answer has cost, once that is known; `meter` is
    that of the last attempt, `failed` are those that failed. `stay` is its place at a gate; `waiting` says in a few
    words what it waits for once it has left the line, until the answer begins. `request` is what is asked for, if it is
    a chat. `count` is the prompt's estimate, if one was needed; `too_long` is what to say where the candidates that it
    does not fit were left out and all others failed; `is_cut` is whether the backend cut the prompt, and `window` the
    tokens that its model has room for. `conversation` is what the backend that serves is to be remembered by, if it is
    one of several.

    `hedge` is whether a second candidate that was asked at the same time won or lost. `resumed` is how often another
    went on where a stream broke off. `out_of_budget` is whether a further attempt was wanted and not made.
    """

    id: str = ""
    operation: str = ""
    request: ChatRequest | None = None
    reason: str = ""
    chosen_by: str = ""
    conversation: int | None = None
    attempts: int = 0
    backend: str = ""
    model: str = ""
    dropped: tuple[str, ...] = ()
    warning: str = ""
    sole: bool = False
    committed: bool = False
    usage: UsageReported | None = None
    meter: Meter | None = None
    stay: Stay | None = None
    waiting: str = ""
    count: Count | None = None
    too_long: ContextLengthExceeded | None = None
    is_cut: bool = False
    window: int | None = None
    hedge: Literal["", "won", "lost"] = ""
    resumed: int = 0
    out_of_budget: bool = False
    failed: list[FailedAttempt] = field(default_factory=list[FailedAttempt])

    def rival(self) -> "Progress":
        """That of a second candidate which is asked at the same time; what has failed so far is one list."""
        return replace(self, waiting="", dropped=(), warning="", meter=None, stay=None)

    def taken_over(self, rival: "Progress") -> None:
        """The second candidate has won."""
        self.backend, self.model, self.dropped = rival.backend, rival.model, rival.dropped
        self.warning, self.meter, self.stay = rival.warning, rival.meter, rival.stay
        self.committed, self.waiting, self.hedge = True, "", "won"


class Processes(Protocol):
    """Whoever runs the processes of some backends."""

    def __contains__(self, backend: object) -> bool: ...

    def use(self, name: str, tell: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """Holds a backend that is ready, started if it has to be; `tell` is told meanwhile what is waited for."""
        ...


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
    experience: Experience = field(default_factory=Experience)
    processes: Processes | None = None

    def plan(self, wanted: Wanted, *, now: float) -> Plan:
        """Who may serve a request, in which order; see `router.routing.plan`."""
        return plan(wanted, self.catalog, self.health, now=now, random=random, experience=self.experience)

    def learn(self, record: RequestRecord) -> None:
        """A sink: how fast a backend wrote. How soon it began is noted when it does, without the time in line."""
        if (tokens_per_s := record.tokens_per_s) is not None:
            now = asyncio.get_running_loop().time()
            self.experience.speeds.ended(Target(record.backend, record.model), tokens_per_s, now=now)

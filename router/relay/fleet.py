"""What there is to choose from, and how it becomes something else while requests are under way."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from random import random
from typing import Protocol

from router.canonical.adapter import Adapter
from router.errors import Unavailable, UnknownModel
from router.relay.epochs import Epoch, Epochs
from router.routing.catalog import Catalog, Target
from router.routing.choice import Scene
from router.routing.health import Health
from router.routing.missing import PULL, pulled_first, to_pull, unseen
from router.routing.plan import Experience, Plan, plan
from router.routing.wanted import Wanted
from router.usage.record import RequestRecord

UNSEEN_RETRY_S = 15.0


class Processes(Protocol):
    """Whoever runs the processes of some backends."""

    def __contains__(self, backend: object) -> bool: ...

    def use(self, name: str, tell: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """Holds a backend that is ready, started if it has to be; `tell` is told meanwhile what is waited for."""
        ...


class Puller(Protocol):
    """Whoever has models fetched that nobody has."""

    @property
    def is_settled(self) -> bool:
        """Whether the start is so long ago that every server that will come up has."""
        ...

    async def fetch(self, backend: str, model: str, *, tell: Callable[[str], None], within_s: float | None) -> None:
        """Returns when the model is there; `tell` is told meanwhile what is waited for. Raises RouterError."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """What one fleet's becoming another has come to; `retired` are adapters to be closed once `is_over`.

    Of the `changed` ones, `moved` are other servers now.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    retired: tuple[Adapter, ...] = ()
    is_over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Fleet:
    """What there is to choose from: the settings' snapshot, the state of every backend, and the way to each.

    Whoever has to do with backends by their names looks them up each time, since `become` replaces all of it at once.
    """

    catalog: Catalog
    health: Health
    adapters: Mapping[str, Adapter]
    totals: Mapping[str, float] = field(default_factory=dict[str, float])
    """The longest a request may take on each backend, in seconds."""
    optional: frozenset[str] = frozenset()
    """Backends that nobody configured: places where one may turn up."""
    experience: Experience = field(default_factory=Experience)
    processes: Processes | None = None
    puller: Puller | None = None
    leaving: dict[str, Adapter] = field(default_factory=dict[str, Adapter])
    """The ways to removed backends, for the requests that are still under way there."""
    changes: int = 0
    _epochs: Epochs = field(default_factory=Epochs)

    def plan(self, wanted: Wanted, *, now: float) -> Plan:
        """Who may serve a request, in which order, and what has to be pulled first; see `router.routing.plan`."""
        chosen: Plan | None = None
        try:
            chosen = plan(wanted, self.catalog, self.health, now=now, random=random, experience=self.experience)
        except UnknownModel:
            if (missing := self._missing(wanted, None, now=now)) is None:
                raise
        else:
            if (missing := self._missing(wanted, chosen, now=now)) is None:
                return chosen
        return pulled_first(missing, chosen)

    def _missing(self, wanted: Wanted, chosen: Plan | None, *, now: float) -> Target | None:
        if self.catalog.on_missing != PULL or self.puller is None:
            return None
        scene = Scene(self.catalog, self.health, now, wanted.caller.local_only, wanted.caller.user_id)
        able = [name for name, adapter in self.adapters.items() if adapter.manages]
        missing = to_pull(wanted, scene, able, chosen=chosen)
        if missing and chosen is None and not self.puller.is_settled and (other := unseen(scene, self.optional)):
            raise Unavailable(
                f"nobody has '{missing.model}', but {other} was not seen since the start and may: try again soon",
                param="model",
                retry_after=UNSEEN_RETRY_S,
            )
        return missing

    def learn(self, record: RequestRecord) -> None:
        """A sink: how fast a backend wrote. How soon it began is noted when it does, without the time in line."""
        if (tokens_per_s := record.tokens_per_s) is not None:
            now = asyncio.get_running_loop().time()
            self.experience.speeds.ended(Target(record.backend, record.model), tokens_per_s, now=now)

    def adapter(self, backend: str) -> Adapter:
        """The way to a backend, also to one that has been removed while the request was under way."""
        return self.adapters.get(backend) or self.leaving[backend]

    def begin(self) -> Epoch:
        """A request begins: until it is given to `end`, nothing that it may use is closed."""
        return self._epochs.begin()

    def end(self, epoch: Epoch) -> None:
        """It has ended."""
        self._epochs.end(epoch)

    def become(self, other: "Fleet") -> Change:
        """Takes over what the other may choose from; what is known of backends with the same adapter stays.

        Whoever is under way on another adapter finishes there.
        """
        before, after = self.adapters, other.adapters
        changed = tuple(name for name in after if name in before and before[name] is not after[name])
        removed = tuple(name for name in before if name not in after)
        change = Change(
            added=tuple(name for name in after if name not in before),
            changed=changed,
            removed=removed,
            moved=tuple(name for name in changed if _place(before[name]) != _place(after[name])),
            retired=tuple(before[name] for name in (*changed, *removed)),
        )
        self.health.become(after, changed=changed)
        self.leaving.update({name: before[name] for name in removed})
        for name in after:
            self.leaving.pop(name, None)
        self.catalog, self.adapters = other.catalog, after
        self.totals, self.optional = other.totals, other.optional
        self.changes += 1
        self._epochs.change(lambda: self._forget(change))
        return change

    def select(self, selected: Mapping[str, str]) -> None:
        """These are the models that were selected, by their backends, from now on."""
        self.catalog = replace(self.catalog, selected=selected)

    def _forget(self, change: Change) -> None:
        for name, adapter in zip((*change.changed, *change.removed), change.retired, strict=True):
            if self.leaving.get(name) is adapter:
                del self.leaving[name]
                self.health.forget(name)
        change.is_over.set()


def _place(adapter: Adapter) -> tuple[str, str]:
    return adapter.kind, adapter.config.process or adapter.config.url

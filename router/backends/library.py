"""What people do with the models of a backend: pull, show, load, unload, delete."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Protocol

from router.backends.inventory import Entry
from router.canonical.adapter import Adapter, Attempt
from router.canonical.library import ModelCard, no_such_model
from router.canonical.models import ModelInfo, canonical_name
from router.canonical.request import Profile
from router.errors import BackendTimeout, BackendUnreachable, Unavailable, UnsupportedOperation
from router.pulls.pulls import Pulls
from router.pulls.run import Run
from router.relay.fleet import Fleet, Processes
from router.routing.catalog import Target
from router.routing.health import State
from router.routing.window import Pins

ASK_S = 30.0
"""For what a server answers from its own disk."""


class Stopping(Processes, Protocol):
    """Whoever runs the processes of some backends."""

    def stop(self, name: str, *, force: bool = False) -> None:
        """Ends one. Raises BackendInUse while requests use it."""
        ...


class Library:
    """`look` looks at a backend whose models may have changed. Everything raises Unavailable for a server that does
    not run, BackendTimeout for one that takes too long, UnsupportedOperation for one whose models are not managed.
    """

    def __init__(
        self, fleet: Fleet, look: Callable[[str], Awaitable[None]], pulls: Pulls, *, processes: Stopping
    ) -> None:
        self._fleet = fleet
        self._look = look
        self._processes = processes
        self.pulls = pulls

    def pull(self, entry: Entry, model: str) -> Run:
        """Begins a pull, or joins the one that runs."""
        adapter = self._adapter(entry)
        if not adapter.manages:
            raise UnsupportedOperation(f"{entry.name} is no Ollama server: nothing can be pulled there", param="model")
        return self.pulls.start(entry.served_as, model)

    async def card(self, entry: Entry, model: str) -> tuple[ModelInfo, ModelCard]:
        """What the backend's list says of a model, and what it says of it alone; raises UnknownModel."""
        adapter = self._adapter(entry)
        with _running(entry.name):
            card = await adapter.card(model, timeout_s=ASK_S)
        if (info := self._info(entry, model)) is None:
            await self._look(entry.served_as)
            info = self._info(entry, model)
        if info is None:
            raise no_such_model(entry.name, model)
        return info, card

    async def delete(self, entry: Entry, model: str) -> None:
        """Removes it for good; raises UnknownModel."""
        adapter = self._adapter(entry)
        with _running(entry.name):
            await adapter.delete(model, timeout_s=ASK_S)
        await self._look(entry.served_as)

    async def load(self, entry: Entry, model: str, keep_alive: float | str | None) -> bool | None:
        """Loads it as its alias would have it; whether it is there then, as far as can be told.

        A server that the router runs itself is started.
        """
        adapter = self._adapter(entry)
        if entry.served_as in self._processes:
            self._is_its_own(entry, model)
            async with self._processes.use(entry.served_as, _unheard):
                return True
        with _running(entry.name):
            await adapter.load(self._attempt(entry, model), keep_alive)
        return await self._is_loaded(entry, model)

    async def unload(self, entry: Entry, model: str) -> bool | None:
        """Takes it out of memory; a server that the router runs itself is stopped. Raises BackendInUse."""
        adapter = self._adapter(entry)
        if entry.served_as in self._processes:
            self._is_its_own(entry, model)
            self._processes.stop(entry.served_as)
            return False
        with _running(entry.name):
            await adapter.unload(self._attempt(entry, model))
        return await self._is_loaded(entry, model)

    async def loaded(self, entry: Entry) -> list[ModelInfo]:
        """The models in memory, from a look at this moment."""
        self._adapter(entry)
        await self._look(entry.served_as)
        health = self._fleet.health[entry.served_as]
        if health.state in {State.DOWN, State.HALF_OPEN}:
            raise Unavailable(health.last_error or f"{entry.name} does not answer")
        now = asyncio.get_running_loop().time()
        return [model for model in health.models if health.has_loaded(canonical_name(model.name), now)]

    def is_loaded(self, entry: Entry, model: str) -> bool | None:
        """As was last heard."""
        return self._fleet.health[entry.served_as].has_loaded(canonical_name(model), asyncio.get_running_loop().time())

    async def _is_loaded(self, entry: Entry, model: str) -> bool | None:
        await self._look(entry.served_as)
        return self.is_loaded(entry, model)

    def _adapter(self, entry: Entry) -> Adapter:
        adapter = self._fleet.adapters.get(entry.served_as) if entry.is_in_force else None
        if adapter is None:
            raise Unavailable(f"{entry.name} is not in use: {entry.problem or 'it is switched off'}")
        return adapter

    def _info(self, entry: Entry, model: str) -> ModelInfo | None:
        return self._fleet.health[entry.served_as].model(model)

    def _is_its_own(self, entry: Entry, model: str) -> None:
        """A process has one model; raises UnknownModel for another name."""
        known = [each.name for each in self._fleet.health[entry.served_as].models]
        if known and canonical_name(model) not in map(canonical_name, known):
            raise no_such_model(entry.name, model, known=known)

    def _attempt(self, entry: Entry, model: str) -> Attempt:
        """With the options that aliases pin: loaded in any other way, it would be loaded once more for a request."""
        profile = Pins(self._fleet.catalog).completed(Target(entry.served_as, model), Profile())
        return Attempt(model=model, shown=model, profile=profile, loading=True)


def _unheard(_: str) -> None:
    """Nobody is told what is waited for."""


@contextmanager
def _running(name: str) -> Generator[None]:
    """A server that cannot be reached is not running, as far as people can tell."""
    try:
        yield
    except BackendUnreachable as error:
        raise Unavailable(error.message) from None
    except TimeoutError:
        raise BackendTimeout(f"{name} did not answer in time") from None

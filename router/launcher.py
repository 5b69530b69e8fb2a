"""The processes that the settings ask for, and who is told of what becomes of them."""

import asyncio
import os
from collections.abc import Mapping
from functools import partial
from secrets import token_urlsafe

from router.admission.gate import Gate
from router.canonical.adapter import Adapter
from router.canonical.models import Glance, Probe
from router.processes.launch import Launch, launches_of
from router.processes.memory import Budget
from router.processes.supervisor import Supervisor, Wiring
from router.relay.progress import Fleet
from router.routing.prober import Prober
from router.settings import Settings
from router.settings.backends import BackendSettings


def key_for(backend: BackendSettings) -> str | None:
    """What is sent to the backend as its key: for a process of our own one that nobody else knows."""
    if backend.api_key is not None:
        return backend.api_key.get_secret_value()
    return token_urlsafe() if backend.launch is not None else None


def launches_in(settings: Settings, adapters: Mapping[str, Adapter]) -> dict[str, Launch]:
    """The processes by their backend's name."""
    return launches_of(settings, {name: adapter.config.api_key or "" for name, adapter in adapters.items()})


def at_rest(settings: Settings, adapters: Mapping[str, Adapter]) -> None:
    """Lets looks find the models of processes that do not run, by what their files say."""

    def found(launch: Launch) -> Probe:
        return Probe(models=(launch.info(launch.head()),))

    for name, launch in launches_in(settings, adapters).items():
        adapters[name].moved(None, partial(found, launch))


def launcher(settings: Settings, fleet: Fleet) -> Supervisor:
    """Whoever will run the processes; nothing is started yet."""
    memories = {name: group.memory for name, group in settings.groups.items()}
    launches = launches_in(settings, fleet.adapters)
    return Supervisor(launches, memories, folder=settings.server.data_folder, environ=os.environ)


def connect(supervisor: Supervisor, fleet: Fleet, gate: Gate, *, prober: Prober) -> None:
    """Adapters learn where their processes are, health and gate whether they run, the gate also what fits together."""

    def moved(name: str, url: str | None) -> None:
        fleet.adapters[name].moved(url, partial(supervisor.rest, name))
        loaded = {} if url is None else {supervisor.runs[name].launch.model: None}
        fleet.health.glanced(name, Glance(loaded=loaded), now=asyncio.get_running_loop().time())

    def resident(name: str, is_running: bool) -> None:
        gate.running(name, is_running=is_running)

    def budget(group: str, known: Budget) -> None:
        for name, run in supervisor.runs.items():
            if run.launch.terms.group == group:
                gate.fitting(name, known.fits)
                return

    supervisor.wiring = Wiring(moved, resident, budget, prober.look)
    for name in supervisor.runs:
        fleet.adapters[name].moved(None, partial(supervisor.rest, name))

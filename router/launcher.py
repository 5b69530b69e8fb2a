"""The processes that the settings ask for, and who is told of what becomes of them."""

import asyncio
import os
from functools import partial
from hashlib import blake2b
from secrets import token_bytes

from router.admission.gate import Gate
from router.canonical.adapter import Adapter
from router.canonical.models import Glance, Probe
from router.processes.launch import Launch, launch_of, launches_of
from router.processes.memory import Budget
from router.processes.runs import Wiring
from router.processes.supervisor import Supervisor
from router.relay.fleet import Fleet
from router.routing.prober import Prober
from router.settings import Settings
from router.settings.backends import BackendSettings

_SECRET = token_bytes(32)


def launch_for(name: str, backend: BackendSettings) -> Launch | None:
    """How a backend's process is started, if it has one, whatever group it is in."""
    return launch_of(name, backend, group=name, api_key=_key(name, backend)) if backend.launch else None


def at_rest(adapter: Adapter, launch: Launch) -> None:
    """Lets looks find the model of a process that does not run, by what its file says."""

    def found() -> Probe:
        return Probe(models=(launch.info(launch.head()),))

    adapter.moved(None, found)


class Launcher:
    """Has the processes run that the settings ask for.

    Adapters learn where these are, health and gate whether they run, the gate also what fits together.
    """

    def __init__(self, settings: Settings, fleet: Fleet, gate: Gate, *, prober: Prober) -> None:
        self._fleet = fleet
        self._gate = gate
        self.supervisor = Supervisor({}, {}, folder=settings.server.data_folder, environ=os.environ)
        self.supervisor.wiring = Wiring(self._resident, self._budget, prober.look)
        fleet.processes = self.supervisor
        self.become(settings)

    def become(self, settings: Settings) -> None:
        """These are to run from now on, in the backends that the fleet has and the lanes that the gate has by now."""
        memories = {name: group.memory for name, group in settings.groups.items()}
        keys = {name: _key(name, backend) for name, backend in settings.backends.items()}
        self.supervisor.become(launches_of(settings, keys), memories)
        for name, run in self.supervisor.runs.items():
            adapter = self._fleet.adapters[name]
            run.moved = partial(self._moved, name, adapter)
            if run.url is None or adapter.config.url != run.url:
                adapter.moved(run.url, partial(self.supervisor.rest, name))

    def _moved(self, name: str, adapter: Adapter, url: str | None) -> None:
        adapter.moved(url, partial(self.supervisor.rest, name))
        run = self.supervisor.runs.get(name)
        if run is not None and self._fleet.adapters.get(name) is adapter:
            loaded = {} if url is None else {run.launch.model: None}
            self._fleet.health.glanced(name, Glance(loaded=loaded), now=asyncio.get_running_loop().time())

    def _resident(self, name: str, is_running: bool) -> None:
        self._gate.running(name, is_running=is_running)

    def _budget(self, group: str, known: Budget) -> None:
        for name, run in self.supervisor.runs.items():
            if run.launch.terms.group == group:
                self._gate.fitting(name, known.fits)
                return


def _key(name: str, backend: BackendSettings) -> str:
    """Without one in the settings, one that nobody else knows; the same for as long as this router lives, so that other
    settings find the process that runs.
    """
    if backend.api_key is not None:
        return backend.api_key.get_secret_value()
    return blake2b(name.encode(), key=_SECRET, digest_size=24).hexdigest()

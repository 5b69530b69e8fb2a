"""The lanes that the settings and the backend families ask for."""

from router.admission.claims import Limits
from router.admission.gate import Gate
from router.admission.limits import LaneSpec, Room, lanes
from router.canonical.adapter import Adapter
from router.canonical.models import canonical_name
from router.relay.fleet import Fleet
from router.routing.health import BackendHealth
from router.settings import Settings
from router.settings.backends import BackendSettings


def lanes_of(settings: Settings, fleet: Fleet) -> tuple[LaneSpec, ...]:
    """One for each group, and one for each backend in none."""
    queue = settings.queue
    base = Limits(
        max_depth=queue.max_depth,
        max_per_user=queue.max_per_user,
        max_wait_s=queue.max_wait,
        min_residency_s=queue.min_residency,
    )
    rooms = {name: _room(settings.backends[name], adapter) for name, adapter in fleet.adapters.items()}
    groups = {name: (group.members, group.max_parallel) for name, group in settings.groups.items()}
    return lanes(rooms, groups, base)


def _room(backend: BackendSettings, adapter: Adapter) -> Room:
    return Room(
        backend=adapter.config.name,
        most=backend.max_parallel or (backend.launch.parallel if backend.launch else adapter.max_parallel),
        fixed=backend.max_parallel is not None,
        per_model=adapter.swaps_models,
        swaps=adapter.swaps_models,
        launched=backend.launch is not None,
    )


def tell(gate: Gate, health: BackendHealth) -> None:
    """Passes on what a look at a backend has found."""
    loaded = [canonical_name(model.name) for model in health.models if model.loaded]
    gate.looked(health.name, slots=health.slots, loaded=loaded)

"""Simulated time, and servers that swap models as Ollama does."""

from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from router.admission.claims import Priority

READ_GB_S = 1.5

MODELS_GB = {"coder": 6.0, "chat": 9.0, "vision": 12.0, "writer": 14.0, "large": 20.0}


@dataclass(slots=True, eq=False)
class Request:
    """One generation; `service_s` is what it takes once its model is loaded."""

    user: str
    model: str
    priority: Priority
    service_s: float
    at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    gave_up: bool = False
    resume: Callable[[], None] = field(default=lambda: None)


Person = Generator[float | Request, None, None]  # yields seconds to pass, or a request to wait for


class World:
    """What happens, in order of time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.requests: list[Request] = []
        self._order = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, moment: float, happens: Callable[[], None]) -> None:
        """Let something happen then."""
        heappush(self._events, (moment, next(self._order), happens))

    def after(self, seconds: float, happens: Callable[[], None]) -> None:
        """Let something happen so much later."""
        self.at(self.now + seconds, happens)

    def run(self, until: float) -> None:
        """Go on until then."""
        while self._events and self._events[0][0] <= until:
            self.now, _, happens = heappop(self._events)
            happens()
        self.now = until

    def live(self, person: Person, send: Callable[[Request], None]) -> None:
        """Let a person go on with what they do."""
        wish = next(person, None)
        if wish is None:
            return
        if isinstance(wish, float):
            self.after(wish, lambda: self.live(person, send))
            return
        wish.at = self.now
        wish.resume = lambda: self.live(person, send)
        self.requests.append(wish)
        send(wish)


class Server:
    """Runs what it is sent, in that order: two at a time, the models that fit in memory, idle ones pushed out."""

    def __init__(self, world: World, name: str, *, memory_gb: float, models: frozenset[str]) -> None:
        self.name = name
        self.models = models
        self.slots = 2
        self.loads = 0
        self.queue: list[Request] = []
        self.running: list[Request] = []
        self.loaded: OrderedDict[str, None] = OrderedDict()  # the one used last at the end
        self.on_end: Callable[[Request], None] = lambda _: None
        self._world = world
        self._memory_gb = memory_gb
        self._is_loading = False

    @property
    def busy(self) -> int:
        """How many it was sent and has not answered."""
        return len(self.queue) + len(self.running)

    def send(self, request: Request) -> None:
        """Take a request."""
        self.queue.append(request)
        self._go_on()

    def forget(self, request: Request) -> None:
        """The client of a request that does not run yet has left."""
        self.queue.remove(request)
        self._go_on()

    def _go_on(self) -> None:
        while self.queue and len(self.running) < self.slots and not self._is_loading:
            if self.queue[0].model not in self.loaded:
                self._load(self.queue[0].model)
                return
            self._start(self.queue.pop(0))

    def _load(self, model: str) -> None:
        in_use = {request.model for request in self.running}
        for idle in [name for name in self.loaded if name not in in_use]:
            if self._fits(model):
                break
            del self.loaded[idle]
        if not self._fits(model):
            return  # until something that runs ends
        self.loads += 1
        self._is_loading = True
        self._world.after(MODELS_GB[model] / READ_GB_S, lambda: self._is_loaded(model))

    def _fits(self, model: str) -> bool:
        return sum(MODELS_GB[name] for name in (*self.loaded, model)) <= self._memory_gb

    def _is_loaded(self, model: str) -> None:
        self._is_loading = False
        self.loaded[model] = None
        self._go_on()

    def _start(self, request: Request) -> None:
        request.started_at = self._world.now
        self.loaded.move_to_end(request.model)
        self.running.append(request)
        self._world.after(request.service_s, lambda: self._end(request))

    def _end(self, request: Request) -> None:
        self.running.remove(request)
        request.ended_at = self._world.now
        self.on_end(request)
        self._go_on()
        request.resume()

"""Who is sent where and when: by arrival, to the least busy, and as Turnout does."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import count
from random import Random

from bench.simulate.world import Request, Server, World
from router.admission.claims import Claim, Granted, Limits, Queued, Refused
from router.admission.scheduler import Lane

MAX_WAIT_S = 120.0
PROBE_S = 5.0
LOAD_GUESS_S = (10.0, 20.0, 60.0)  # by class: batch work would rather wait than have a model loaded
SERVICE_GUESS_S = 5.0


class Policy(ABC):
    """Sends requests to servers. A client who has waited for the longest wait gives up, whatever the policy."""

    def __init__(self, world: World, servers: Sequence[Server], random: Random) -> None:
        self.world = world
        self.servers = servers
        self.random = random
        for server in servers:
            server.on_end = self.ended

    def ask(self, request: Request) -> None:
        """A request comes."""
        self.world.after(MAX_WAIT_S, lambda: self._check(request))
        self.arrived(request)

    def _check(self, request: Request) -> None:
        if request.started_at is None and not request.gave_up:
            self.give_up(request)

    def give_up(self, request: Request) -> None:
        """It was refused, or its client has left."""
        request.gave_up = True
        self.left(request)
        self.world.after(0.0, request.resume)

    def able(self, request: Request) -> list[Server]:
        """The servers that have the model on disk."""
        return [server for server in self.servers if request.model in server.models]

    @abstractmethod
    def arrived(self, request: Request) -> None: ...

    @abstractmethod
    def left(self, request: Request) -> None: ...

    @abstractmethod
    def ended(self, request: Request) -> None: ...


class LeastBusy(Policy):
    """At once to the server with the fewest requests, which queues them itself."""

    def arrived(self, request: Request) -> None:
        able = self.able(request)
        fewest = min(server.busy for server in able)
        self.random.choice([server for server in able if server.busy == fewest]).send(request)

    def left(self, request: Request) -> None:
        for server in self.servers:
            if request in server.queue:
                server.forget(request)

    def ended(self, request: Request) -> None:
        pass


class FirstCome(Policy):
    """One queue in order of arrival; a free slot takes the first that its server can do."""

    def __init__(self, world: World, servers: Sequence[Server], random: Random) -> None:
        super().__init__(world, servers, random)
        self.queue: list[Request] = []

    def arrived(self, request: Request) -> None:
        self.queue.append(request)
        self._send()

    def left(self, request: Request) -> None:
        if request in self.queue:
            self.queue.remove(request)
        for server in self.servers:
            if request in server.queue:
                server.forget(request)
        self._send()

    def ended(self, request: Request) -> None:  # noqa: ARG002
        self._send()

    def _send(self) -> None:
        for request in tuple(self.queue):
            free = [server for server in self.able(request) if server.busy < server.slots]
            if free:
                self.queue.remove(request)
                self.choose(free, request).send(request)

    def choose(self, free: list[Server], request: Request) -> Server:  # noqa: ARG002
        """Which of the servers with a free slot."""
        return self.random.choice(free)


class FirstComeLoaded(FirstCome):
    """The same, but where the model is loaded if such a slot is free."""

    def choose(self, free: list[Server], request: Request) -> Server:
        return self.random.choice([server for server in free if request.model in server.loaded] or free)


class Turnout(Policy):
    """A lane for each server. The best backend by load time and queue; where several have the model loaded and none
    has a free slot, all of them, and the first grant counts."""

    def __init__(self, world: World, servers: Sequence[Server], random: Random) -> None:
        super().__init__(world, servers, random)
        self._tickets = count()
        self._asked: dict[int, Request] = {}
        self._claims: dict[Request, list[tuple[Lane, Claim]]] = {}
        self._wakes: dict[str, float] = {}
        self._lanes = {
            server.name: Lane(
                Limits(
                    per_backend={server.name: server.slots},
                    reloading=frozenset({server.name}),
                    max_wait_s=MAX_WAIT_S,
                )
            )
            for server in servers
        }
        self._servers = {server.name: server for server in servers}
        self._probe()

    def arrived(self, request: Request) -> None:
        costs = {server.name: self._cost_s(server, request) for server in self.able(request)}
        best = min(costs, key=lambda name: (costs[name], self.random.random()))
        names = [best]
        if request.model in self._servers[best].loaded:
            names += [name for name in costs if name != best and request.model in self._servers[name].loaded]
        self._claims[request] = []
        refused = 0
        for name in names:
            if request not in self._claims:
                break
            refused += self._ask(request, name)
        if refused == len(names):
            self.give_up(request)

    def _cost_s(self, server: Server, request: Request) -> float:
        lane = self._lanes[server.name]
        ahead = lane.in_flight() + lane.waiting(priority=request.priority) + 1 - server.slots
        load_s = 0.0 if request.model in server.loaded else LOAD_GUESS_S[request.priority]
        return load_s + max(0, ahead) * SERVICE_GUESS_S / server.slots

    def _ask(self, request: Request, name: str) -> bool:
        lane = self._lanes[name]
        claim = Claim(next(self._tickets), name, request.model, request.user, request.priority, request.at)
        match lane.ask(claim, self.world.now):
            case Granted():
                self._asked[claim.ticket] = request
                self._claims[request].append((lane, claim))
                self._run([claim])
            case Queued():
                self._asked[claim.ticket] = request
                self._claims[request].append((lane, claim))
                self._wake(name)
            case Refused():
                return True
        return False

    def _run(self, granted: Sequence[Claim]) -> None:
        for claim in granted:
            request = self._asked.pop(claim.ticket, None)
            if request is None or request not in self._claims:  # it runs elsewhere by now
                self._leave(claim, served=False)
                continue
            others = [other for _, other in self._claims.pop(request) if other is not claim]
            request.resume = self._then(claim, request.resume)
            self._servers[claim.backend].send(request)
            for other in others:
                self._asked.pop(other.ticket, None)
                self._leave(other, served=False)

    def _then(self, claim: Claim, resume: Callable[[], None]) -> Callable[[], None]:
        def ended() -> None:
            self._leave(claim, served=True)
            resume()

        return ended

    def _leave(self, claim: Claim, *, served: bool) -> None:
        self._run(self._lanes[claim.backend].leave(claim.ticket, self.world.now, served=served))
        self._wake(claim.backend)

    def left(self, request: Request) -> None:
        for _, claim in self._claims.pop(request, []):
            self._asked.pop(claim.ticket, None)
            self._leave(claim, served=False)
        for server in self.servers:
            if request in server.queue:
                server.forget(request)

    def ended(self, request: Request) -> None:
        pass

    def _wake(self, name: str) -> None:
        due = self._lanes[name].due(self.world.now)
        if due is not None and not self.world.now <= self._wakes.get(name, -math.inf) <= due:
            self._wakes[name] = due
            self.world.at(due, lambda: self._advance(name))

    def _advance(self, name: str) -> None:
        self._wakes.pop(name, None)
        self._run(self._lanes[name].advance(self.world.now))
        self._wake(name)

    def _probe(self) -> None:
        for name, lane in self._lanes.items():
            self._run(lane.resident(name, self._servers[name].loaded, self.world.now))
            self._wake(name)
        self.world.after(PROBE_S, self._probe)

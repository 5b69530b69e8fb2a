"""What every work is made of: the running processes, and rounds of load on one after another."""

import contextlib
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import psutil

from bench import wire
from bench.client import Run
from bench.measure import median, percentile
from bench.paths import Path
from bench.results import Figure, Row
from bench.servers import Server
from bench.wire import Ask

FRAMES = 100
FLOOR, ROUTER, PEER, DIRECT = "floor", "router", "peer", "direct"


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of everything one run does: `turns` for the works of a second or less, `rounds` for the others."""

    turns: int
    rounds: int
    requests: int
    seconds: float
    streams: int
    single_streams: int
    large: int
    disconnects: int
    failures: int
    keys: int
    thorough: bool


FULL = Effort(
    turns=5, rounds=3, requests=1200, seconds=3.5, streams=300, single_streams=100, large=100,
    disconnects=1000, failures=12, keys=5000, thorough=True,
)  # fmt: skip
QUICK = Effort(
    turns=2, rounds=1, requests=500, seconds=1.2, streams=150, single_streams=40, large=40,
    disconnects=300, failures=3, keys=2000, thorough=False,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bench:
    """The running processes and how much to ask of them; `silent` are the paths on which the peer does not answer."""

    backend: Server
    floor: Server
    router: Server
    effort: Effort
    peer: Server | None = None
    silent: set[Path] = field(default_factory=set)

    def sides(self, path: Path) -> list[str]:
        """Who takes turns on a path: the floor, the router, and the peer while it lives and answers there."""
        answers = self.peer is not None and path not in self.silent and self.peer.tree.lives()
        return [FLOOR, ROUTER, *([PEER] if answers else [])]

    def chat(self, side: str, path: Path) -> Ask:
        """W1's request for `direct`, `floor`, `router` or `peer`."""
        return wire.chat(self.port(side), path, native=side in {DIRECT, FLOOR})

    def stream(self, side: str, path: Path, *, delay_ms: int) -> Ask:
        """W2's and W3's request, likewise."""
        ask = wire.stream(self.port(side), path, native=side in {DIRECT, FLOOR}, frames=FRAMES, delay_ms=delay_ms)
        return ask if side != PEER else wire.leniently(ask)

    def cpu_s(self) -> float:
        """CPU seconds so far of everything that is the bench's own, this process included."""
        servers = [server for server in (self.backend, self.floor, self.router, self.peer) if server]
        total = time.process_time()
        for server in servers:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += server.tree.cpu_s()
        return total

    def port(self, side: str) -> int:
        """Where a side listens."""
        return self.server(side).port

    def server(self, side: str) -> Server:
        """The process of a side."""
        found = {DIRECT: self.backend, FLOOR: self.floor, ROUTER: self.router, PEER: self.peer}[side]
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class Cost:
    """A run of load and the CPU seconds the server's process tree spent on it."""

    run: Run
    cpu_s: float

    @property
    def cpu_ms(self) -> float:
        """Milliseconds per whole exchange."""
        return self.cpu_s * 1000 / self.run.done if self.run.done else math.nan

    @property
    def per_s(self) -> float:
        """Whole exchanges a second."""
        return self.run.done / self.run.elapsed_s if self.run.elapsed_s else math.nan


Round = dict[str, Cost]
Load = Callable[[str], Awaitable[Run]]
Values = Callable[[Run], list[float]]


async def cost(bench: Bench, side: str, load: Load) -> Cost:
    """Run the load on one side; CPU is read just before and just after. A peer that fails is a figure, not an end."""
    try:
        tree = bench.server(side).tree
        before = tree.cpu_s()
        run = await load(side)
        return Cost(run, tree.cpu_s() - before)
    except (OSError, psutil.Error) as error:
        if side != PEER:
            raise
        return Cost(Run(errors=Counter([type(error).__name__])), math.nan)


async def by_turns(
    bench: Bench, path: Path, load: Load, *, turns: int = 0, direct: bool = False, sides: Sequence[str] = ()
) -> list[Round]:
    """Load all sides by turns, in the other order in every second round; with `direct`, the backend itself too."""
    rounds: list[Round] = []
    for number in range(turns or bench.effort.turns):
        now = [*([DIRECT] if direct else []), *(sides or bench.sides(path))]
        order = now if number % 2 == 0 else now[::-1]
        rounds.append({side: await cost(bench, side, load) for side in order})
    return rounds


def row(work: str, path: Path, rounds: Sequence[Round]) -> Row:
    """Medians over the rounds; the ratio is the median of the rounds' ratios."""

    def over(value: Callable[[Cost], float], side: str) -> float:
        return median([value(one[side]) for one in rounds if side in one])

    def ratio(side: str) -> float:
        return median([one[side].cpu_ms / one[FLOOR].cpu_ms for one in rounds if {side, FLOOR} <= set(one)])

    def errors(side: str) -> Counter[str]:
        return sum((one[side].run.errors for one in rounds if side in one), Counter())

    return Row(
        work=work,
        path=path.name,
        cpu_ms=over(lambda cost: cost.cpu_ms, ROUTER),
        floor_ms=over(lambda cost: cost.cpu_ms, FLOOR),
        peer_ms=over(lambda cost: cost.cpu_ms, PEER),
        ratio=ratio(ROUTER),
        peer_ratio=ratio(PEER),
        per_s=over(lambda cost: cost.per_s, ROUTER),
        floor_per_s=over(lambda cost: cost.per_s, FLOOR),
        peer_per_s=over(lambda cost: cost.per_s, PEER),
        errors=errors(ROUTER),
        floor_errors=errors(FLOOR),
        peer_errors=errors(PEER),
        client_busy=max(one[ROUTER].run.client_busy for one in rounds),
    )


def figure(name: str, rounds: Sequence[Round], share: float, values: Values) -> Figure:
    """A percentile of every side, the median over the rounds; `direct` is subtracted where it was measured."""

    def of(side: str) -> float:
        return median([percentile(values(one[side].run), share) for one in rounds if side in one])

    def over(side: str) -> float:
        runs = [(one[side].run, one[DIRECT].run) for one in rounds if side in one]
        return median([percentile(values(run), share) - percentile(values(direct), share) for run, direct in runs])

    read = over if DIRECT in rounds[0] else of
    return Figure(name, router=read(ROUTER), floor=read(FLOOR), peer=read(PEER), direct=of(DIRECT))


def walls(run: Run) -> list[float]:
    """Milliseconds from sending to the end of the answer."""
    return run.walls_ms


def gaps(run: Run) -> list[float]:
    """Milliseconds between two content frames."""
    return run.gaps_ms


def firsts(run: Run) -> list[float]:
    """Milliseconds from sending to the first content frame."""
    return run.first_ms

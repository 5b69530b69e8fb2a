"""`python -m bench.simulate`: prints the table; `--write` puts it into router/admission/README.md."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

from bench.simulate.people import everybody
from bench.simulate.policies import MAX_WAIT_S, FirstCome, FirstComeLoaded, LeastBusy, Policy, Turnout
from bench.simulate.report import Outcome, mean, outcome, table
from bench.simulate.world import MODELS_GB, Server, World

README = Path(__file__).parents[2] / "router" / "admission" / "README.md"
MARKS = ("<!-- simulation -->\n", "<!-- end of simulation -->")
SEEDS = (1, 2, 3)
LASTS_S = 3_600.0
POLICIES: dict[str, type[Policy]] = {
    "least busy": LeastBusy,
    "first come, first served": FirstCome,
    "first come, loaded model preferred": FirstComeLoaded,
    "Turnout": Turnout,
}


def simulate(name: str, *, seed: int, lasts_s: float = LASTS_S) -> Outcome:
    """One hour under one policy."""
    world = World()
    everything = frozenset(MODELS_GB)
    servers = [
        Server(world, "desk", memory_gb=24, models=everything),
        Server(world, "lab", memory_gb=24, models=everything),
        Server(world, "loft", memory_gb=16, models=everything - {"large"}),
    ]
    policy = POLICIES[name](world, servers, Random(seed))
    for person in everybody(seed):
        world.live(person, policy.ask)
    world.run(lasts_s)
    asked = [request for request in world.requests if request.at < lasts_s - MAX_WAIT_S]
    return outcome(name, asked, loads=sum(server.loads for server in servers), longest_wait_s=MAX_WAIT_S)


def compared(seeds: Sequence[int] = SEEDS) -> str:
    """The table: means over the seeds."""
    return table(mean([simulate(name, seed=seed) for seed in seeds]) for name in POLICIES)


def written(text: str, shown: str) -> str:
    """The README with this table in it."""
    before, rest = text.split(MARKS[0])
    return before + MARKS[0] + shown + "\n" + MARKS[1] + rest.split(MARKS[1])[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args(arguments)
    shown = compared(chosen.seeds)
    print(shown)
    if chosen.write:
        README.write_text(written(README.read_text(encoding="utf-8"), shown), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench.soak`: run it, print the summary; status 1: something was wrong or left over, 2: could not run."""

import argparse
import asyncio

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from bench import servers
from bench.soak.run import Found, run

REQUESTS = 20_000
SHORT = 1_500
MEMORY_MB = 16.0
WIDTH = 150


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=None, metavar="N", help=f"default {REQUESTS}")
    parser.add_argument("--short", action="store_true", help=f"{SHORT} requests, about 20 s")
    parser.add_argument("--seed", type=int, default=1, help="of the random choices")
    parser.add_argument("--router", default=servers.ROUTER, metavar="COMMAND", help="as `python -m bench` takes it")
    given = parser.parse_args()
    requests = given.requests or (SHORT if given.short else REQUESTS)
    try:
        found = uvloop.run(run(requests=requests, memory_mb=MEMORY_MB, seed=given.seed, router=given.router))
    except (servers.ServerError, OSError, psutil.Error) as error:
        parser.exit(2, f"soak: {error}\n")
    except (KeyboardInterrupt, asyncio.CancelledError):
        parser.exit(2, "soak: interrupted\n")
    show(found)
    raise SystemExit(not found.passed)


def show(found: Found) -> None:
    """Print what came of it."""
    plain = Console()
    console = plain if plain.is_terminal else Console(width=WIDTH)
    table = Table("requests", "count", "wrong", "what became of them")
    for name in sorted({*found.outcomes, *found.wrong}):
        outcomes, wrong = found.outcomes[name], found.wrong[name]
        told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        failures = ", ".join(f"{count} {what}" for what, count in wrong.most_common())
        table.add_row(name, str(outcomes.total() + wrong.total()), failures or "0", told)
    console.print(table)
    rest = Table("left over", "base", "end", "at most over base", "met")
    for left in found.left:
        met = "[green]yes[/]" if left.is_back else "[red]NO[/]"
        rest.add_row(left.what, f"{left.base:.0f}", f"{left.end:.0f}", f"{left.limit:.0f}", met)
    console.print(rest)
    total = sum(counter.total() for counter in (*found.outcomes.values(), *found.wrong.values()))
    console.print(f"{total} requests in {found.elapsed_s:.0f} s, the slowest {found.slowest_s:.1f} s.", highlight=False)
    for line in found.said[:10]:
        console.print(f"log: {line}", highlight=False, markup=False)


if __name__ == "__main__":
    main()

"""`python -m bench`: start the processes, run the works in order, print the tables."""

import argparse
import asyncio
import contextlib
import resource
from pathlib import Path

import psutil
import uvloop

from bench import report, servers, turns
from bench.agenda import WORKS
from bench.results import Report
from bench.sitting import Given, run


def main() -> None:
    """Parse the arguments and run; status 1: a budget missed or a request failed; 2: could not run."""
    parser = _parser()
    given = parser.parse_args()
    unknown = [work for work in given.works if work not in WORKS]
    if unknown:
        parser.error(f"no such work: {', '.join(unknown)}")
    asked = Given(
        works=tuple(given.works or WORKS),
        effort=turns.QUICK if given.quick else turns.FULL,
        router=given.router,
        paths=servers.known_paths(given.router),
        peer=given.peer,
        peer_config=given.peer_config,
    )
    _allow_many_files()
    try:
        found = uvloop.run(run(asked))
    except (servers.ServerError, OSError, psutil.Error) as error:
        parser.exit(2, f"bench: {error}\n")
    except (KeyboardInterrupt, asyncio.CancelledError):
        parser.exit(2, "bench: interrupted\n")
    report.show(found)
    if given.json:
        report.save(found, given.json)
    raise SystemExit(not passed(found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"which of {', '.join(WORKS)}; default all")
    parser.add_argument("--quick", action="store_true", help="short rounds, about a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument(
        "--router",
        default=servers.ROUTER,
        metavar="COMMAND",
        help="how to start the router; {python} {config} {port} {backend} are filled in",
    )
    parser.add_argument(
        "--peer", metavar="COMMAND", help="another gateway, started likewise and shown beside the router"
    )
    parser.add_argument(
        "--peer-config",
        type=Path,
        metavar="FILE",
        help="the peer's own {config}; {port} {backend} {key} are filled in; without it, it gets the router's",
    )
    return parser


def _allow_many_files() -> None:
    """500 streams are 1000 descriptors in the router, which inherits the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def passed(found: Report) -> bool:
    """Tell whether every budget is met, scaled where need be, without an error."""
    checks = [*found.process, *(check for row in found.rows for check in row.checks)]
    return all(check.verdict != "no" for check in checks) and not any(row.errors for row in found.rows)


if __name__ == "__main__":
    main()

"""`python -m bench`: start the processes, run the works in order, print the tables."""

import argparse
import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import psutil
import uvloop
from rich.console import Console

from bench import budgets, leaving, measure, report, servers, works
from bench.results import Check, Report, Row
from bench.works import Bench

WORKS = ("W1", "W2", "W3", "W8")
IDLE_S = 1.0
SETTLE_S = 0.2


def main() -> None:
    """Parse the arguments and run; status 1: a budget missed or a request failed; 2: could not run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"which of {', '.join(WORKS)}; default all")
    parser.add_argument("--quick", action="store_true", help="short rounds, about 40 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument(
        "--router",
        default=servers.ROUTER,
        metavar="COMMAND",
        help="how to start the router; {python} {config} {port} {backend} are filled in",
    )
    given = parser.parse_args()
    unknown = [work for work in given.works if work not in WORKS]
    if unknown:
        parser.error(f"no such work: {', '.join(unknown)}")
    try:
        found = uvloop.run(run(given.works or WORKS, given.router, works.QUICK if given.quick else works.FULL))
    except (servers.ServerError, OSError, psutil.Error) as error:
        parser.exit(2, f"bench: {error}\n")
    except (KeyboardInterrupt, asyncio.CancelledError):
        parser.exit(2, "bench: interrupted\n")
    report.show(found)
    if given.json:
        report.save(found, given.json)
    raise SystemExit(not passed(found))


def passed(found: Report) -> bool:
    """Tell whether every budget is met, scaled where need be, without an error."""
    checks = [*found.process, *(check for row in found.rows for check in row.checks)]
    return all(check.verdict != "no" for check in checks) and not any(row.errors for row in found.rows)


async def run(chosen: list[str], command: str, effort: works.Effort) -> Report:
    """Start everything, run the chosen works on both paths, stop everything."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)  # type: ignore[union-attr]
    start = time.perf_counter()
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        bench = await _start(stack, directory, command, effort)
        others = measure.machine_cpu_s() - bench.cpu_s()
        begun = time.perf_counter()
        await asyncio.sleep(IDLE_S)
        process = [
            Check(budgets.START, bench.router.ready_s),
            Check(budgets.IDLE_RSS, bench.router.tree.rss_mb()),
        ]
        rows = [row async for row in _rows(bench, chosen)]
        process.append(Check(budgets.PEAK_RSS, bench.router.tree.peak_rss_mb()))
        now = time.perf_counter()
        others = (measure.machine_cpu_s() - bench.cpu_s() - others) / (now - begun)
        return Report(rows, process, bench.floor.tree.rss_mb(), now - start, others, bench.router.said())


async def _start(stack: AsyncExitStack, directory: Path, command: str, effort: works.Effort) -> Bench:
    backend, floor, router = (servers.free_port() for _ in range(3))
    config = servers.config(directory, port=router, backend=backend)
    upstream = f"http://{servers.HOST}:{backend}"

    def backend_process() -> AbstractAsyncContextManager[servers.Server]:
        command = servers.module("bench.backend", "--port", str(backend))
        return servers.running(command, backend, ready="/health", directory=directory)

    def floor_process() -> AbstractAsyncContextManager[servers.Server]:
        command = servers.module("bench.floor", "--port", str(floor), "--upstream", upstream)
        return servers.running(command, floor, ready="/health", directory=directory)

    def router_process() -> AbstractAsyncContextManager[servers.Server]:
        filled = servers.router_command(command, config=config, port=router, backend=backend)
        return servers.running(filled, router, ready="/health/ready", directory=directory)

    enter = stack.enter_async_context
    fake, relay = await enter(backend_process()), await enter(floor_process())
    async with router_process():
        pass  # the first start compiles; the next one is timed
    return Bench(fake, relay, await enter(router_process()), effort)


async def _rows(bench: Bench, chosen: list[str]) -> AsyncIterator[Row]:
    console = Console(stderr=True)
    for path in budgets.PATHS:
        errors = await works.warm_up(bench, path)
        if errors:
            console.print(f"warm-up, {path}: {dict(errors)}", highlight=False)
    steps = {
        "W1": [
            lambda path: works.chat_at(bench, path, works.MANY),
            lambda path: works.chat_at(bench, path, works.FEW),
            lambda path: works.chat_paced(bench, path),
        ],
        "W2": [lambda path: works.burst(bench, path, works.FEW), lambda path: works.burst(bench, path, 1)],
        "W3": [lambda path: works.paced(bench, path)],
        "W8": [lambda path: leaving.churn(bench, path)],
    }
    for work in WORKS:
        for step in steps[work] if work in chosen else ():
            for path in budgets.PATHS:
                await asyncio.sleep(SETTLE_S)
                row = await step(path)
                console.print(f"{row.work}, {row.path}: done", highlight=False)
                yield row


if __name__ == "__main__":
    main()

"""The one owner of every process: news come in, a fresh snapshot decides, one step at a time is carried out."""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from secrets import token_hex
from typing import Any

from router.canonical.models import Probe
from router.errors import BackendFailed, BackendInUse, BackendLoading, BackendRemoved, BackendTimeout
from router.processes import gguf
from router.processes.child import COMING_UP, STAYING, Child, Phase
from router.processes.launch import Launch
from router.processes.learned import Learned, Load, memory_of
from router.processes.memory import Budget
from router.processes.process import HEALTH_S, Process, health
from router.processes.process import start as start_process
from router.processes.records import TOKEN, Records
from router.processes.runs import Run, Runs, Wiring
from router.processes.steps import Fail, Kill, Spawn, Step, Stop, due, next_step

logger = logging.getLogger(__name__)

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""
POLL_S = 0.1
TELL_S = 0.5
PATIENCE_S = 5.0
"""A request waits for the next try of one that crashed if that comes so soon."""
CLOSE_S = 2.0
LOADING = "loading model"


class Supervisor:
    """Runs the processes while `running` is entered. State changes in synchronous functions only."""

    def __init__(
        self,
        launches: Mapping[str, Launch],
        memories: Mapping[str, int | None],
        *,
        folder: Path | None,
        environ: Mapping[str, str],
        grace_s: float = GRACE_S,
    ) -> None:
        self.wiring = Wiring()
        self._environ = environ
        self._grace_s = grace_s
        self._learned = Learned(folder)
        self._records = Records(folder / "processes" if folder else None)
        self._known = Runs(folder / "logs" if folder else None)
        self._known.become(launches, memories)
        self._lives: set[asyncio.Task[None]] = set()
        self._logging: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_settling = self._is_open = False

    @property
    def runs(self) -> Mapping[str, Run]:
        """By backend, without those that are to go."""
        return self._known.current

    @property
    def leaving(self) -> Mapping[str, Run]:
        """Those that other settings have done away with, and that are not gone yet."""
        return self._known.leaving

    @property
    def budgets(self) -> Mapping[str, Budget]:
        return self._known.budgets

    def __contains__(self, backend: object) -> bool:
        return backend in self.runs

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Ends what an earlier run left behind and starts what is to run always; at the end all of it is gone."""
        orphans = await asyncio.to_thread(self._records.stop_orphans)
        if orphans:
            logger.warning("ended %d llama.cpp processes that an earlier run had left behind", orphans)
        await self._look_into(self._known.unread())
        self._is_open = True
        self._follow()
        try:
            yield
        finally:
            await self._close()
            for task in self._logging.values():
                task.cancel()
            writing = (log.write() for log in self._known.logs.values())
            await asyncio.gather(*self._logging.values(), *writing, return_exceptions=True)

    def become(self, launches: Mapping[str, Launch], memories: Mapping[str, int | None]) -> None:
        """Others from now on. Who would be started in the same way runs on; the rest ends once nobody uses it."""
        self._known.become(launches, memories)
        if self._is_open:
            self._follow()

    @asynccontextmanager
    async def use(self, name: str, tell: Callable[[str], None]) -> AsyncGenerator[None]:
        """Holds a process that is ready, started if it has to be; it is not stopped meanwhile.

        `tell` is told what the request waits for. Raises BackendFailed when it does not start, or BackendTimeout.
        """
        run = self.runs[name]
        self._become(run, run.child.entered(_now()))
        try:
            if run.child.phase is not Phase.READY:
                await self._until_ready(run, tell)
            yield
        finally:
            self._become(run, run.child.left(_now()))
            self._settle()

    def start(self, name: str) -> None:
        """Somebody wants it to run, whatever it has come to before."""
        run = self.runs[name]
        self._become(run, run.child.forgiven().wanted(_now()))
        self._settle()

    def stop(self, name: str, *, force: bool = False) -> None:
        """Somebody wants it to end. Raises BackendInUse while requests use it, unless with `force`."""
        run = self.runs[name]
        if run.child.users and not force:
            count = run.child.users
            raise BackendInUse(f"{count} {'request uses' if count == 1 else 'requests use'} {name}: drain it first")
        self._stop(run, "asked to", by_hand=True)
        self._settle()

    def rest(self, name: str) -> Probe:
        """What a look finds while it does not run. Raises BackendFailed while it may not be tried again."""
        run = self.runs[name]
        if run.child.phase is Phase.CRASHED and run.child.retry_at - _now() > PATIENCE_S:
            raise self._failure(run)
        if run.head is None and self._is_open:
            raise BackendLoading(f"{name} is new: its model's file is being looked at")
        return Probe(models=(run.launch.info(run.head or run.launch.head()),))

    def percent(self, run: Run) -> int | None:
        """How far it has loaded, by the time that its last load took."""
        if run.child.phase not in COMING_UP or run.load is None or run.load.seconds <= 0:
            return None
        return min(99, int(100 * (_now() - run.child.since) / run.load.seconds))

    async def _until_ready(self, run: Run, tell: Callable[[str], None]) -> None:
        name, load_s, failures = run.launch.name, run.launch.terms.load_s, run.child.failures
        if run.child.phase is Phase.CRASHED and run.child.retry_at - _now() > PATIENCE_S:
            raise self._failure(run)
        self._settle()
        try:
            async with asyncio.timeout(load_s):
                while run.child.phase is not Phase.READY:
                    if run.is_leaving:
                        raise BackendRemoved(f"the settings of {name} have changed")
                    if run.child.failures != failures:
                        raise self._failure(run)
                    percent = self.percent(run)
                    tell(LOADING if percent is None else f"loading {percent}%")
                    await _within(TELL_S, run.changed)
        except TimeoutError:
            raise BackendTimeout(f"{name} was not ready within {load_s:g} s") from None

    def _failure(self, run: Run) -> BackendFailed:
        retry_after = max(1.0, run.child.retry_at - _now())
        return BackendFailed(f"{run.launch.name} {run.child.error}", retry_after=retry_after)

    def _settle(self) -> None:
        """Takes one step after another until there is nothing to do, each decided from what is so by then."""
        if self._is_settling or not self._is_open:
            return
        self._is_settling = True
        try:
            self._let_go()
            while (step := next_step(yard := self._known.yard(), _now())) is not None:
                self._take(step)
        finally:
            self._is_settling = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (at := due(yard, _now())) is not None:
            self._timer = asyncio.get_running_loop().call_at(at, self._settle)

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)

    def _let_go(self) -> None:
        """Who is to leave is stopped once nobody uses it."""
        for run in self.leaving.values():
            if not run.child.users and run.child.phase in STAYING:
                self._stop(run, "the settings want it no more")
        self._known.forget_gone()

    def _take(self, step: Step) -> None:
        run = self._known[step.name]
        match step:
            case Spawn():
                self._become(run, run.child.spawned(_now()))
                self._begin(self._live(run, run.child.start), f"llama-{step.name}")
            case Stop(why=why, failing=failing):
                self._stop(run, why, failing=failing)
            case Kill():
                logger.warning("llama.cpp %s ignores SIGTERM and is killed", step.name)
                self._become(run, run.child.killed())
                if run.process is not None:
                    run.process.signal(signal.SIGKILL)
            case Fail(why=why):
                self._become(run, run.child.crashed(_now(), why))

    def _stop(self, run: Run, why: str, *, failing: str = "", by_hand: bool = False) -> None:
        was_alive = run.child.phase in STAYING
        self._become(run, run.child.stopping(_now(), self._grace_s, failing=failing, by_hand=by_hand))
        if was_alive:
            logger.info("llama.cpp %s is stopped: %s", run.launch.name, why)
            run.log.add(f"turnout: stopped: {why}")
            if run.process is not None:
                run.process.signal(signal.SIGTERM)

    def _become(self, run: Run, child: Child) -> None:
        """The next snapshot; whoever is concerned by another phase is told at once."""
        before, run.child = run.child.phase, child
        if child.phase is before:
            return
        name = run.launch.name
        if before is Phase.READY:
            run.url = None
            run.moved(None)
        if (is_staying := child.phase in STAYING) is not (before in STAYING) and not run.is_leaving:
            self.wiring.resident(name, is_staying)
        if child.phase is Phase.CRASHED:
            logger.warning("llama.cpp %s %s", name, child.error)
            run.log.add(f"turnout: {child.error}")
        run.changed.set()
        run.changed = asyncio.Event()

    async def _live(self, run: Run, start: int) -> None:
        """One start, from the first to the last moment of its process, which is gone afterwards whatever happens."""
        name, launch, token = run.launch.name, run.launch, token_hex(16)
        port, process = _free_port(), None
        run.log.add(f"turnout: start {start}")
        try:
            environ = launch.environment(self._environ, **{TOKEN: token})
            process = await start_process(launch.command(port), run.log, environ=environ, grace_s=self._grace_s)
            run.process = process
            if run.child.start != start or run.child.phase is not Phase.STARTING:
                process.signal(signal.SIGKILL if run.child.kill_at == inf else signal.SIGTERM)
            await process.told.wait()
            pids = [process.group, *([process.pid] if process.pid else [])]
            await asyncio.to_thread(self._records.write, f"{name}-{token}", pids, token)
            await self._come_up(run, start, process, port=port)
            await self._watch(run, start, process, port=port)
            self._ended(run, start, process.how_it_ended, out_of_memory=process.ran_out_of_memory)
        except OSError as error:
            self._ended(run, start, f"cannot be started: {(error.strerror or str(error)).lower()}")
        finally:
            if process is not None:
                process.close()
                run.process = None if run.process is process else run.process
            self._records.forget(f"{name}-{token}")
            self._ended(run, start, "was given up")  # unless its end is known already
        await self.wiring.look(name)

    async def _watch(self, run: Run, start: int, process: Process, *, port: int) -> None:
        """Until it is gone, however long it is silent before."""
        watch_s = run.launch.terms.watch_s
        while not await _within(watch_s, process.gone):
            status = await health(port, timeout_s=min(watch_s, HEALTH_S))
            if status is None:
                self._become(run, run.child.silent(start))
                self._settle()
            else:
                self._become(run, run.child.answered(start, _now(), is_ready=True))

    async def _come_up(self, run: Run, start: int, process: Process, *, port: int) -> None:
        """Until it is ready, or gone."""
        while not process.gone.is_set():
            status = await health(port)
            if status is not None:
                child = run.child.answered(start, _now(), is_ready=status == 200)
                if child.phase is Phase.READY and run.child.phase is not Phase.READY:
                    await self._ready(run, process, port, child)
                    return
                self._become(run, child)
            await _within(POLL_S, process.gone)

    async def _ready(self, run: Run, process: Process, port: int, child: Child) -> None:
        name = run.launch.name
        seconds = _now() - run.child.since
        run.loads += 1
        run.url = f"http://127.0.0.1:{port}"
        run.moved(run.url)
        self._become(run, child)
        self._settle()
        logger.info("llama.cpp %s is ready after %.1f s", name, seconds)
        run.log.add(f"turnout: ready after {seconds:.1f} s")
        memory = await asyncio.to_thread(memory_of, process.lines, process.pid)
        run.load = Load(memory or run.size, seconds)
        await asyncio.to_thread(self._learned.learn, run.launch.mark, run.load)
        self._size(run)
        self._settle()
        await self.wiring.look(name)

    def _ended(self, run: Run, start: int, how: str, *, out_of_memory: bool = False) -> None:
        child = run.child.exited(start, _now(), how, out_of_memory=out_of_memory)
        if child.cramped and not run.child.cramped:
            self._remember_misfit(run)
        self._become(run, child)
        self._settle()

    def _remember_misfit(self, run: Run) -> None:
        group = run.launch.terms.group
        beside = {
            name
            for name, other in self._known.all().items()
            if other.launch.terms.group == group and other.child.is_alive
        }
        logger.warning("llama.cpp %s ran out of memory beside %d others", run.launch.name, len(beside) - 1)
        self._known.budgets[group] = self.budgets[group].without_room(beside)
        self.wiring.budget(group, self.budgets[group])

    def _size(self, run: Run) -> None:
        group = run.launch.terms.group
        if group in self.budgets:
            self._known.budgets[group] = self.budgets[group].sized(run.launch.name, run.size)
            self.wiring.budget(group, self.budgets[group])

    def _read(self, launches: Iterable[Launch]) -> list[tuple[gguf.Model, Load | None]]:
        """The heads of the model files, and what earlier loads have shown. Blocks."""
        return [(launch.head(), self._learned.of(launch.mark)) for launch in launches]

    async def _look_into(self, runs: Sequence[Run]) -> None:
        """They may be started once their files have been looked at."""
        found = await asyncio.to_thread(self._read, [run.launch for run in runs])
        for run, (head, load) in zip(runs, found, strict=True):
            run.head, run.load = head, load
            self._size(run)

    async def _take_in(self, runs: Sequence[Run]) -> None:
        await self._look_into(runs)
        self._settle()
        for run in runs:
            await self.wiring.look(run.launch.name)

    def _follow(self) -> None:
        """Whoever is concerned hears which processes there are by now."""
        for name in self._known.logs.keys() - self._logging.keys():
            self._logging[name] = asyncio.create_task(self._known.logs[name].keep(), name=f"log-{name}")
        for group, budget in self.budgets.items():
            self.wiring.budget(group, budget)
        for name, run in self.runs.items():
            self.wiring.resident(name, run.child.phase in STAYING)
        if unread := self._known.unread():
            self._begin(self._take_in(unread), "llama-new")
        self._settle()

    async def _close(self) -> None:
        """Ends everything, within a time limit."""
        self._is_open = False
        if self._timer is not None:
            self._timer.cancel()
        for run in self._known.all().values():
            if run.child.is_alive:
                self._stop(run, "the router stops")
        if self._lives:
            await asyncio.wait(self._lives, timeout=self._grace_s)
        for task in self._lives:
            task.cancel()
        if self._lives:
            await asyncio.wait(self._lives, timeout=CLOSE_S)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Whether it happens so soon."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]

"""Which processes there are: those that the settings want, and those that other settings have done away with."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from router.processes import gguf
from router.processes.child import Child
from router.processes.launch import Launch
from router.processes.learned import Load
from router.processes.log import Log
from router.processes.memory import Budget
from router.processes.process import Process
from router.processes.steps import Yard


async def _no_look(_: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Wiring:
    """Who is told whether a backend's model has memory, and what fits in a group. `look` looks at a backend."""

    resident: Callable[[str, bool], None] = lambda _, __: None
    budget: Callable[[str, Budget], None] = lambda _, __: None
    look: Callable[[str], Awaitable[None]] = _no_look


@dataclass(slots=True)
class Run:
    """One child with everything that it has; `loads` counts how often it became ready.

    `moved` is told where it answers, or None. It is not started before its files have been looked at.
    """

    launch: Launch
    log: Log
    child: Child
    head: gguf.Model | None = None
    process: Process | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    loads: int = 0
    load: Load | None = None
    url: str | None = None
    moved: Callable[[str | None], None] = lambda _: None
    is_leaving: bool = False

    @property
    def size(self) -> int:
        """The memory it is taken to need, in bytes: what the settings say, else its last load, else a guess."""
        return self.launch.memory or (self.load.memory if self.load else self.launch.guess(self.head or gguf.Model()))


class Runs:
    """Those of `current` go by their backends' names. Each of `leaving` has a name that no backend can have."""

    def __init__(self, folder: Path | None) -> None:
        self.current: dict[str, Run] = {}
        self.leaving: dict[str, Run] = {}
        self.budgets: dict[str, Budget] = {}
        self.logs: dict[str, Log] = {}
        self._folder = folder
        self._changes = count(1)

    def __getitem__(self, name: str) -> Run:
        return self.current.get(name) or self.leaving[name]

    def all(self) -> dict[str, Run]:
        return {**self.current, **self.leaving}

    def become(self, launches: Mapping[str, Launch], memories: Mapping[str, int | None]) -> None:
        """These are wanted. What would be started in the same way stays, on its new terms; the rest leaves."""
        before = self.current
        stays = {name for name, launch in launches.items() if name in before and _is_same(before[name].launch, launch)}
        self.current = {
            name: self._on_terms(before[name], launch) if name in stays else self._new(launch)
            for name, launch in launches.items()
        }
        for name in before.keys() - stays:
            self._leave(name, before[name])
        self.forget_gone()
        groups = {run.launch.terms.group for run in self.all().values()}
        self.budgets = {group: self._budget(group, memories.get(group), stays) for group in groups}

    def unread(self) -> list[Run]:
        """Those whose files have not been looked at."""
        return [run for run in self.current.values() if run.head is None]

    def yard(self) -> Yard:
        """A snapshot of all that may be started or stopped."""
        known = {name: run for name, run in self.all().items() if run.head is not None}
        children = {name: run.child for name, run in known.items()}
        return Yard(children, {name: run.launch.terms for name, run in known.items()}, self.budgets)

    def forget_gone(self) -> None:
        """Those that have left are no more, unless somebody is to be told that there is room now."""
        if not any(run.child.cramped for run in self.current.values()):
            gone = [name for name, run in self.leaving.items() if not run.child.is_alive and not run.child.users]
            for name in gone:
                del self.leaving[name]

    def _new(self, launch: Launch) -> Run:
        log = self.logs.setdefault(launch.name, Log(self._folder and self._folder / f"llama-{launch.name}.log"))
        log.hide(launch.folders)
        return Run(launch, log, Child(launch.name))

    def _on_terms(self, run: Run, launch: Launch) -> Run:
        run.launch = launch
        return run

    def _leave(self, name: str, run: Run) -> None:
        name = f"{name} (old {next(self._changes)})"
        terms = replace(run.launch.terms, always=False)
        run.launch, run.child = replace(run.launch, name=name, terms=terms), replace(run.child, name=name)
        run.is_leaving, run.head = True, run.head or gguf.Model()
        run.changed.set()
        self.leaving[name] = run

    def _budget(self, group: str, memory: int | None, stays: set[str]) -> Budget:
        """What is known of processes that are others now counts no more."""
        members = {name: run for name, run in self.all().items() if run.launch.terms.group == group}
        sizes = {name: run.size for name, run in members.items() if run.head is not None}
        before = self.budgets.get(group, Budget())
        return Budget(memory, sizes, frozenset(misfit for misfit in before.misfits if misfit <= stays))


def _is_same(one: Launch, other: Launch) -> bool:
    return one.process == other.process and one.api_key == other.api_key

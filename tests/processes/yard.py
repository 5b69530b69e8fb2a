"""A supervisor over real, badly behaved processes."""

import asyncio
import stat
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import Any

import psutil

from router.processes.child import Phase
from router.processes.launch import Launch
from router.processes.steps import Terms
from router.processes.supervisor import Supervisor
from router.settings.launch import LaunchSettings

STUB = Path(__file__).with_name("stub_server.py")
SOON_S = 15.0
GRACE_S = 0.3


def program(folder: Path) -> str:
    """The stub as one command."""
    script = folder / "stub"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -S {STUB} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return str(script)


def launch(folder: Path, name: str, *acts: str, group: str = "g", memory: int | None = 1, **terms: Any) -> Launch:
    args = tuple(word for act in acts for word in ("--act", act))
    settings = LaunchSettings(model=str(folder / f"{name}.gguf"), command=program(folder), args=args, memory=memory)
    return Launch(name, settings, Terms(group, **{"load_s": SOON_S, "idle_unload_s": inf} | terms), f"key-of-{name}")


@asynccontextmanager
async def supervised(
    *launches: Launch, memory: int | None = None, folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> AsyncGenerator[Supervisor]:
    """At the end no process is left."""
    supervisor = Supervisor(
        {each.name: each for each in launches},
        {"g": memory},
        folder=folder,
        environ=environ or {"PATH": "/usr/bin:/bin"},
        grace_s=GRACE_S,
    )
    pids: set[int] = set()
    async with supervisor.running():
        yield supervisor
        pids = {run.process.group for run in supervisor.runs.values() if run.process}
    assert all(is_gone(pid) for pid in pids)


async def used(supervisor: Supervisor, name: str) -> list[str]:
    """Uses one for a moment; what was told meanwhile."""
    told: list[str] = []
    async with supervisor.use(name, told.append):
        return told


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():
            await asyncio.sleep(0.01)


def phase(supervisor: Supervisor, name: str) -> Phase:
    return supervisor.runs[name].child.phase


def pid_of(supervisor: Supervisor, name: str) -> int:
    process = supervisor.runs[name].process
    assert process is not None
    assert process.pid is not None
    return process.pid


def is_gone(pid: int) -> bool:
    """A zombie counts: who adopts orphans in a container may never reap them."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True

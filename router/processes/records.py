"""Files that tell the next run which processes this one has started, should it not live to end them."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from router.dialects.failures import UNREADABLE

TOKEN = "TURNOUT_PROCESS"  # noqa: S105 (the name of a variable)
PS_S = 5


class Running(Struct, frozen=True):
    """A process; `began` tells it from another one that was given its pid later."""

    pid: int
    began: str


class Record(Struct, frozen=True):
    """A command and its keeper, the router that started them, and the mark that they carry in their environment."""

    owner: Running
    members: list[Running]
    token: str


class Records:
    """One file for each process that runs. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._me = this_process()

    def write(self, name: str, pids: list[int], token: str) -> None:
        """Notes the processes of one start. Without room on the disk there is no note."""
        if self._folder is None:
            return
        members = [Running(pid, when) for pid in pids if (when := began(pid)) is not None]
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file(name).write_bytes(msgspec.json.encode(Record(self._me, members, token)))

    def forget(self, name: str) -> None:
        """It is gone."""
        if self._folder is not None:
            with suppress(OSError):
                self._file(name).unlink(missing_ok=True)

    def stop_orphans(self) -> int:
        """Kills what routers that are gone have left running; how many processes that were."""
        if self._folder is None or not self._folder.is_dir():
            return 0
        return sum(self._stop(file) for file in self._folder.glob("*.json"))

    def _stop(self, file: Path) -> int:
        try:
            record = msgspec.json.decode(file.read_bytes(), type=Record)
        except (OSError, *UNREADABLE):
            record = None
        if record is not None and runs(record.owner):
            return 0  # another router that runs beside this one, or this one
        orphans = [each.pid for each in record.members if _is_ours(each, record.token)] if record else []
        for pid in orphans:
            _kill(pid, group=record.members[0].pid if record else 0)
        with suppress(OSError):
            file.unlink(missing_ok=True)
        return len(orphans)

    def _file(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}.{self._me.pid}.json"


def _kill(pid: int, *, group: int) -> None:
    """With all of its group, if that is the one it was started in."""
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == group:
            os.killpg(group, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)


def this_process() -> Running:
    return Running(os.getpid(), began(os.getpid()) or "")


def runs(process: Running) -> bool:
    """Whether it is there still, and no other with its pid."""
    return began(process.pid) == process.began


def began(pid: int) -> str | None:
    """When a process began, in whatever the system counts in; None if there is none, or only what is left of one."""
    if sys.platform != "linux":
        return began_by_ps(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return None if fields[0] in "ZX" else f"{boot} {fields[19]}"


def began_by_ps(pid: int) -> str | None:
    """The same where there is no /proc."""
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=PS_S).stdout.decode().strip() or None  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None


def _is_ours(member: Running, token: str) -> bool:
    if not runs(member):
        return False
    if sys.platform != "linux":
        return True
    try:
        return f"{TOKEN}={token}".encode() in Path(f"/proc/{member.pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False

"""The command line as a process of its own, in a pipe or on a terminal, and interrupted as people do it."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.api.conftest import Office

DEADLINE_S = 40.0
INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[0] = "turnout"
from router.cli import main
main()
"""
"""A test run in the background hands on a Ctrl-C that is ignored."""
_STEERING = re.compile(r"\x1b\[[?\d;]*[A-Za-z]")


@dataclass(frozen=True)
class Shown:
    """What a command showed, and its exit status."""

    status: int
    raw: str

    @property
    def lines(self) -> list[str]:
        """Everything that was drawn, also what was drawn over."""
        return [line.rstrip() for line in re.split(r"[\r\n]+", _STEERING.sub("", self.raw)) if line.strip()]


def _command(office: Office, words: tuple[str, ...]) -> dict[str, object]:
    environ = {
        **{key: value for key, value in os.environ.items() if key not in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"}},
        "TURNOUT_URL": office.r.url,
        "TURNOUT_API_KEY": office.keys["admin"]["x-api-key"],
        "TERM": "xterm",
    }
    return {"args": [sys.executable, "-c", INTERRUPTIBLE, *words], "env": environ}


async def on_terminal(office: Office, *words: str, columns: int = 80, until: str = "", typed: str = "") -> Shown:
    """On a terminal of so many columns; once `until` was shown, something is typed, or else Ctrl-C."""
    return await asyncio.to_thread(_on_terminal, _command(office, words), columns, (until.encode(), typed.encode()))


async def in_pipe(office: Office, *words: str, until: str = "") -> Shown:
    """The same in a pipe, errors and all."""
    return await asyncio.to_thread(_in_pipe, _command(office, words), until.encode())


def _on_terminal(command: dict[str, object], columns: int, then: tuple[bytes, bytes]) -> Shown:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    try:
        with subprocess.Popen(**command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            until, typed = then
            act = (lambda: os.write(ours, typed)) if typed else (lambda: process.send_signal(signal.SIGINT))
            return _watched(process, ours, until, act)
    finally:
        os.close(ours)
        os.close(theirs)


def _in_pipe(command: dict[str, object], until: bytes) -> Shown:
    pipe = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(**command, **pipe) as process:
        assert process.stdout is not None
        return _watched(process, process.stdout.fileno(), until, lambda: process.send_signal(signal.SIGINT))


def _watched(process: "subprocess.Popen[bytes]", output: int, until: bytes, act: Callable[[], object]) -> Shown:
    os.set_blocking(output, False)
    shown, deadline = b"", time.monotonic() + DEADLINE_S
    try:
        while process.poll() is None:
            assert time.monotonic() < deadline, shown
            shown += _read(output)
            if until and until in shown:
                act()
                until = b""
            time.sleep(0.01)
        return Shown(process.returncode, (shown + _read(output)).decode())
    finally:
        process.kill()


def _read(output: int) -> bytes:
    got = b""
    while True:
        try:
            new = os.read(output, 65536)
        except OSError:
            return got
        if not new:
            return got
        got += new

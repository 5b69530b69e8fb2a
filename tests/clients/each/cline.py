"""Cline's command."""

import contextlib
import os
import signal
from pathlib import Path

from tests.clients.client import Program
from tests.clients.kits import NODE_ALL
from tests.fakes import ToolUse


def end_hub(home: Path) -> None:
    """Ends the process that it leaves behind, by the home that was given to it."""
    own = f"HOME={home}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if own in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


CLIENT = Program(
    name="cline",
    kit=NODE_ALL,
    package="cline",
    tier=2,
    uses=ToolUse("run_commands", {"commands": ["echo red$((40 + 2))fox"]}),
    proof="red42fox",
    cannot={"real": "its tools cannot be left out, and the template of the real model knows none"},
    after=end_hub,
    everywhere=("chat", "tools", "broken"),
)

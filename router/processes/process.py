"""A started process: its pipes, its end, and the signals to its group."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from router.processes.log import Log

KEEPER = Path(__file__).with_name("keeper.py")
HEALTH_S = 2.0
OUT_OF_MEMORY = ("out of memory", "failed to allocate", "unable to allocate", "cannot allocate memory", "bad_alloc")


class Process(asyncio.SubprocessProtocol):
    """The keeper of one command, and the command. The event loop's callbacks drain the pipes: no task lives beside it.

    `changed` is set when the command has a pid, and `gone` when all of it is gone and read.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._from = log.count
        self._said = b""
        self.gone = asyncio.Event()
        self.told = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._said += data
            if b"\n" in self._said:
                self.told.set()
        else:
            self._log.feed(data)

    def process_exited(self) -> None:
        self.signal(signal.SIGKILL)  # what the command left behind in its group

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the signature is asyncio's)
        self._log.ended()
        self.gone.set()
        self.told.set()

    @property
    def group(self) -> int:
        """The pid of the keeper, which is the id of the group."""
        return self._transport.get_pid()

    @property
    def pid(self) -> int | None:
        """The pid of the command, once it is known."""
        return int(self._said) if self._said.endswith(b"\n") else None

    def signal(self, number: int) -> None:
        """To everything in the group; nothing happens when nobody is left."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, number)

    def close(self) -> None:
        """Kills what still runs, and lets go of the pipes."""
        if not self.gone.is_set():
            self.signal(signal.SIGKILL)
        self._transport.close()

    @property
    def how_it_ended(self) -> str:
        code = self._transport.get_returncode() or 0
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"

    @property
    def lines(self) -> list[str]:
        """What it has printed, as far as that is kept."""
        return self._log.since(self._from)

    @property
    def ran_out_of_memory(self) -> bool:
        """As far as its last words tell, or as the kernel does to whoever takes the last of it."""
        words = "\n".join(self.lines[-200:]).lower()
        return self._transport.get_returncode() == -signal.SIGKILL or any(sign in words for sign in OUT_OF_MEMORY)


async def start(command: Sequence[str], log: Log, *, environ: Mapping[str, str], grace_s: float) -> Process:
    """Starts a command under its keeper; the caller closes it. Raises OSError."""
    pipe = asyncio.subprocess.PIPE
    _, process = await asyncio.get_running_loop().subprocess_exec(
        lambda: Process(log),
        *(sys.executable, "-I", "-S", str(KEEPER), str(grace_s), *command),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=environ,
        start_new_session=True,
    )
    return process


async def health(port: int, *, timeout_s: float = HEALTH_S) -> int | None:
    """The status of a GET of `/health` there; None when nobody answers in time."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            words = (await reader.readline()).split()
    except (OSError, TimeoutError):
        return None
    finally:
        if writer is not None:
            writer.transport.abort()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None

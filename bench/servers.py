"""The processes of one bench run: fake backend, floor and router, started and stopped by process id."""

import asyncio
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import psutil

from bench.client import HOST, get
from bench.measure import Tree
from bench.wire import API_KEY

ROUTER = "{python} -m router serve --config {config} --port {port} --log-level warning"
READY_DEADLINE_S = 30.0
STOP_DEADLINE_S = 10.0
NOTICE_S = 0.5
POLL_S = 0.01
TAIL = 2000  # characters
CONFIG = """\
server: {{host: {host}, port: {port}, log_requests: false}}
auth: {{api_keys: ["{key}"]}}
backends:
  fast: {{type: openai, url: "http://{host}:{backend}/v1", models: [bench]}}
  local: {{type: ollama, url: "http://{host}:{backend}"}}
models:
  bench-openai: {{targets: [fast/bench]}}
  bench-ollama: {{targets: [local/bench]}}
"""


class ServerError(RuntimeError):
    """A process of the bench did not become ready, or ended while it was needed."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running process."""

    port: int
    tree: Tree
    ready_s: float
    log: Path

    def said(self) -> list[str]:
        """What it wrote to stderr."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()


def config(directory: Path, *, port: int, backend: int) -> Path:
    """Write the router's configuration and return its path."""
    path = directory / "turnout.yaml"
    path.write_text(CONFIG.format(host=HOST, port=port, backend=backend, key=API_KEY), encoding="utf-8")
    return path


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs one of our own modules."""
    return [sys.executable, "-m", name, *arguments]


def router_command(template: str, *, config: Path, port: int, backend: int) -> list[str]:
    """Fill in `{python}`, `{config}`, `{port}` and `{backend}` (the fake backend's URL)."""
    url = f"http://{HOST}:{backend}"
    fields = {"python": sys.executable, "config": str(config), "port": str(port), "backend": url}
    return [word.format(**fields) for word in shlex.split(template)]


@asynccontextmanager
async def running(command: list[str], port: int, *, ready: str, directory: Path) -> AsyncIterator[Server]:
    """Run a command, yield once `GET ready` answers 200, stop it on leaving; bytecode and log go to `directory`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(directory)
    log = directory / f"{port}.log"
    start = time.perf_counter()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
            env=environment,
        )
    try:
        await _wait_ready(process, port, ready=ready)
        yield Server(port, Tree(process.pid), time.perf_counter() - start, log)
    except (ServerError, OSError, psutil.Error):
        if not await _ends_within(process, NOTICE_S):
            raise
        tail = log.read_text(encoding="utf-8", errors="replace")[-TAIL:]
        message = f"{shlex.join(command)} ended with status {process.returncode}\n{tail}"
        raise ServerError(message) from None
    finally:
        if process.returncode is None:
            process.terminate()
            if not await _ends_within(process, STOP_DEADLINE_S):
                process.kill()
                await process.wait()


async def _ends_within(process: asyncio.subprocess.Process, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        return False
    return True


async def _wait_ready(process: asyncio.subprocess.Process, port: int, *, ready: str) -> None:
    deadline = time.perf_counter() + READY_DEADLINE_S
    last = "no answer"
    while process.returncode is None and time.perf_counter() < deadline:
        try:
            status, _ = await get(port, ready)
        except (OSError, TimeoutError) as error:
            last = type(error).__name__
        else:
            if status == HTTPStatus.OK:
                return
            last = f"status {status}"
        await asyncio.sleep(POLL_S)
    message = f"not ready: {last} from {ready}"
    raise ServerError(message)

"""The processes of one bench run: fake backend, floor and router, started and stopped by process id."""

import asyncio
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path as File

import psutil

from bench.client import HOST, connect, get, once
from bench.measure import Tree
from bench.paths import OLLAMA, OPENAI, PATHS, Path
from bench.wire import Ask

ROUTER = "{python} -m router serve --config {config} --port {port} --log-level warning"
READY_DEADLINE_S = 30.0
STOP_DEADLINE_S = 10.0
NOTICE_S = 0.5
POLL_S = 0.01
TAIL = 2000  # characters
ALWAYS = (OPENAI, OLLAMA)


class ServerError(RuntimeError):
    """A process of the bench did not become ready, or ended while it was needed."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running process."""

    port: int
    tree: Tree
    ready_s: float
    log: File

    def said(self) -> list[str]:
        """What it wrote to stderr."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs one of our own modules."""
    return [sys.executable, "-m", name, *arguments]


def filled(template: str, *, config: File, port: int, backend: int) -> list[str]:
    """Fill in `{python}`, `{config}`, `{port}` and `{backend}` (the fake backend's URL)."""
    fields = {"python": sys.executable, "config": str(config), "port": str(port), "backend": url(backend)}
    words = shlex.split(template)
    for name, value in fields.items():
        words = [word.replace("{" + name + "}", value) for word in words]
    return words


def url(port: int) -> str:
    """The root of a server of the bench."""
    return f"http://{HOST}:{port}"


def known_paths(template: str) -> tuple[Path, ...]:
    """The paths that the router of a `... serve ...` command has a backend type for: its `schema` names them all.

    Any other command is taken to know what this checkout knows.
    """
    words = shlex.split(template.replace("{python}", sys.executable))
    if "serve" not in words:
        words = module("router", "serve")
    command = [*words[: words.index("serve")], "schema"]
    schema = ""
    with suppress(OSError, subprocess.SubprocessError):
        asked = subprocess.run(command, capture_output=True, timeout=READY_DEADLINE_S, check=True, text=True)
        schema = asked.stdout
    return tuple(path for path in PATHS if path in ALWAYS or f'"{path.kind}"' in schema)


def fake_backend(port: int, directory: File) -> AbstractAsyncContextManager["Server"]:
    """The fake backend's process."""
    return running(module("bench.backend", "--port", str(port)), port, ready="/health", directory=directory)


def floor(port: int, directory: File, *, backend: int) -> AbstractAsyncContextManager["Server"]:
    """The bare relay's process."""
    command = module("bench.floor", "--port", str(port), "--upstream", url(backend))
    return running(command, port, ready="/health", directory=directory)


@asynccontextmanager
async def running(command: list[str], port: int, *, ready: str | Ask, directory: File) -> AsyncIterator[Server]:
    """Run a command, yield once `ready` is answered with 200, stop it on leaving; its log goes to `directory`."""
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
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End a process, and what it has started and left behind."""
    children: list[psutil.Process] = []
    with suppress(psutil.Error):
        children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    if not await _ends_within(process, STOP_DEADLINE_S):
        process.kill()
        await process.wait()
    for child in children:
        with suppress(psutil.Error):
            child.kill()


async def _ends_within(process: asyncio.subprocess.Process, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        return False
    return True


async def _wait_ready(process: asyncio.subprocess.Process, port: int, *, ready: str | Ask) -> None:
    deadline = time.perf_counter() + READY_DEADLINE_S
    last = "no answer"
    while process.returncode is None and time.perf_counter() < deadline:
        try:
            status = await _status(port, ready)
        except (OSError, TimeoutError) as error:
            last = type(error).__name__
        else:
            if status == HTTPStatus.OK:
                return
            last = f"status {status}"
        await asyncio.sleep(POLL_S)
    asked = ready if isinstance(ready, str) else "a chat request"
    message = f"not ready: {last} from {asked}"
    raise ServerError(message)


async def _status(port: int, ready: str | Ask) -> int:
    if isinstance(ready, str):
        return (await get(port, ready))[0]
    link = await connect(port)
    await once(ready, link=link)
    return link.status

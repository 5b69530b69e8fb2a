"""A network in which there is nothing but a router: what clients run in, where the kernel lets us make one."""

import asyncio
import contextlib
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from anyio.from_thread import start_blocking_portal

from tests.clients import carrier
from tests.clients.running import end

START_S = 20.0


@contextmanager
def sealed(url: str) -> Iterator[Sequence[str]]:
    """The words that start a command in there, none where that is not allowed; the router has the same address."""
    with tempfile.TemporaryDirectory() as folder, start_blocking_portal() as portal:
        path = Path(folder) / "router"
        port = urlsplit(url).port
        assert port
        with portal.wrap_async_context_manager(_outside(path, port)):
            command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-I", carrier.__file__]
            if not (shutil.which("unshare") and shutil.which("nsenter")):
                yield ()
                return
            process = subprocess.Popen(
                [*command, str(port), str(path)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                yield _joining(process.pid) if _is_ready(process) else ()
            finally:
                end(process)
                assert process.stdout is not None
                process.stdout.close()


def _joining(pid: int) -> Sequence[str]:
    return ("nsenter", "--target", str(pid), "--user", "--net", "--preserve-credentials", "--")


def _is_ready(process: subprocess.Popen[bytes]) -> bool:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return bool(selector.select(START_S)) and process.stdout.readline() == b"ready\n"


@asynccontextmanager
async def _outside(path: Path, port: int) -> AsyncGenerator[None]:
    """Carries what comes to a socket in the file system to the router."""
    tasks: set[asyncio.Task[None]] = set()

    async def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            with contextlib.suppress(OSError):
                await carrier.carry((reader, writer), await asyncio.open_connection("127.0.0.1", port))
        finally:
            tasks.discard(task)

    server = await asyncio.start_unix_server(arrived, path)
    try:
        yield
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

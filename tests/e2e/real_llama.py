"""A real llama.cpp server on the model that the extra `demo` carries, for tests that want no imitation."""

import json
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from router.embedded import EmbeddedServer, Spec, child_process, model_file, ready

START_S = 30
GRACE_S = 3


@asynccontextmanager
async def real_llama(
    alias: str = "smollm2",
    *,
    embedding: bool = False,
    context: int = 2048,
    parallel: int = 2,
    chat_template: Path | None = None,
) -> AsyncGenerator[EmbeddedServer]:
    """`context` is the tokens of one request. The server is gone after the `with`."""
    spec = Spec(alias, model_file(), context, parallel, embedding, chat_template)
    async with child_process(spec) as child:
        yield await ready(child, timeout_s=START_S)


@dataclass(frozen=True, slots=True)
class RunningLlama:
    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Ends this one process, by its pid, and reaps it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.terminate()
        try:
            self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(GRACE_S)


def start_real_llama(
    alias: str = "smollm2",
    *,
    embedding: bool = False,
    context: int = 2048,
    parallel: int = 2,
    chat_template: Path | None = None,
) -> RunningLlama:
    """For session fixtures, which outlive an event loop. The caller calls `stop()`; call both on the main thread."""
    spec = Spec(alias, model_file(), context, parallel, embedding, chat_template)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            spec.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
        line = _first_line(process)
        log.seek(0)
        running = RunningLlama(json.loads(line)["url"] if line else "", process)
        if not line:
            running.stop()
            raise AssertionError(f"llama.cpp did not start:\n{log.read()[-4096:].decode(errors='replace')}")
    return running


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    """Empty when the process ends, or START_S pass, before it has said a line."""
    assert process.stdout is not None
    said = b""
    deadline = time.monotonic() + START_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not said.endswith(b"\n") and selector.select(deadline - time.monotonic()):
            piece = os.read(process.stdout.fileno(), 4096)
            if not piece:
                return b""
            said += piece
    return said if said.endswith(b"\n") else b""

"""The fake in a process of its own, for tests that must kill it or count its CPU apart."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.persona import Flavour

_ROOT = Path(__file__).parents[2]


class FakeProcess:
    """Ready inside `async with`; terminated by its pid on leaving, killed if it will not go."""

    def __init__(
        self,
        *,
        kind: Flavour = "ollama",
        models: Sequence[str] = (),
        reply: str | None = None,
        options: Sequence[str] = (),
        port: int = 0,
        start_timeout_s: float = 15.0,
    ) -> None:
        """`models` are written as on the command line, NAME or NAME=capability,capability; `options` are more of it."""
        self._arguments = ["--kind", kind, "--port", str(port), "--until-stdin-closes", *options]
        for model in models:
            self._arguments += ["--model", model]
        if reply is not None:
            self._arguments += ["--reply", reply]
        self._start_timeout_s = start_timeout_s
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        return self._running.pid

    async def kill(self) -> None:
        """As `kill -9` does; returns when the process is gone."""
        if self._running.returncode is None:
            self._running.kill()
        await self._gone()

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-m", "tests.fakes", *self._arguments]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        self._process = await asyncio.create_subprocess_exec(
            *command, cwd=_ROOT, stdin=pipe, stdout=pipe, env=environment
        )
        try:
            async with asyncio.timeout(self._start_timeout_s):
                self.url = (await self._stdout.readline()).decode().strip()
            assert self.url, "the fake backend ended before it was ready"
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running.returncode is None:
            self._running.terminate()
        try:
            async with asyncio.timeout(2.0):
                await self._gone()
        except TimeoutError:
            await self.kill()

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("the fake backend was not started")
        return self._process

    @property
    def _stdout(self) -> asyncio.StreamReader:
        assert self._running.stdout is not None
        return self._running.stdout

    async def _gone(self) -> None:
        if self._running.stdin is not None:
            self._running.stdin.close()
        await self._stdout.read()
        await self._running.wait()

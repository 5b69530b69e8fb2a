"""Watching the settings file: polled, since that also sees files that are replaced, mounted, or on a network."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from router.config import ConfigError, Problem, parse, read
from router.settings import Settings

POLL_S = 0.5
GONE_AFTER = 4
"""So many looks in a row at nothing, and the file is gone: editors that replace it leave a gap."""

Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Source:
    """The file that the settings came from, its text at that time, and what it said."""

    path: Path
    environ: Mapping[str, str]
    text: str
    written: Settings


class Taker(Protocol):
    """Whoever is told of changes."""

    def apply(self, wanted: Settings) -> bool:
        """These are the settings now; False if they cannot be."""
        ...

    def refuse(self, problems: tuple[str, ...]) -> None:
        """The file cannot be used."""
        ...


class Watch:
    """Reads the file when it has changed and lies still for one look, or when it is asked to."""

    def __init__(self, source: Source, taker: Taker, *, poll_s: float = POLL_S) -> None:
        self._source = source
        self._taker = taker
        self._poll_s = poll_s
        self._asked = asyncio.Event()
        self._seen: Signature | None = None
        self._read_as: Signature | None = None
        self._missing = 0
        self._turn = asyncio.Lock()
        self._taken = _digest(source.text)

    @property
    def source(self) -> Source:
        """The file as it was at the start."""
        return self._source

    async def now(self) -> None:
        """Reads the file now; what it says is in force or refused when this returns."""
        await self._take(anyway=True)

    def ask(self) -> None:
        """Have the file read now, changed or not."""
        self._asked.set()

    async def run(self) -> None:
        """Watches until it is cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._asked.wait()
            if self._asked.is_set():
                self._asked.clear()
                await self._take(anyway=True)
            else:
                await self._look()

    async def _look(self) -> None:
        """Reads a file that is not as it was when it was read, and as it was a look ago."""
        before, self._seen = self._seen, await asyncio.to_thread(_signature, self._source.path)
        self._missing = 0 if self._seen else self._missing + 1
        is_still = self._missing == GONE_AFTER if self._seen is None else self._seen == before
        if is_still and (self._seen is None or self._seen != self._read_as):
            self._read_as = self._seen
            await self._take()

    async def _take(self, *, anyway: bool = False) -> None:
        async with self._turn:  # what was read earlier is never taken later
            await self._read(anyway=anyway)

    async def _read(self, *, anyway: bool) -> None:
        path = self._source.path
        try:
            before, self._taken = self._taken, b""  # what cannot be read is news, and so is its coming back
            text = await asyncio.to_thread(read, path)
            self._taken = _digest(text)
            if self._taken == before and not anyway:
                return
            self._taker.apply(await asyncio.to_thread(self._parsed, text))
        except ConfigError as error:
            self._taker.refuse(tuple(str(replace(problem, source=path.name)) for problem in error.problems))

    def _parsed(self, text: str) -> Settings:
        name = self._source.path.name
        if not text.strip():
            raise ConfigError((Problem(name, None, None, "", "is empty, which is taken for an accident"),))
        return parse(text, source=name, environ=self._source.environ)


def _signature(path: Path) -> Signature | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()

"""What a process prints: the last lines in memory, and a file if there is a folder for it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path

KEPT_LINES = 2000
MAX_LINE_BYTES = 4096
MAX_FILE_BYTES = 4 * 1024 * 1024
WRITE_EVERY_S = 0.25


class Log:
    """Lines of one process, over all of its starts. `hidden` are folders whose names nobody needs to see.

    `changed` is set with the next line, and is then another one.
    """

    def __init__(self, path: Path | None = None, *, hidden: Sequence[str] = ()) -> None:
        self._path = path
        self._hidden: tuple[str, ...] = ()
        self.hide(hidden)
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._count = 0
        self._rest = b""
        self._unwritten: list[str] = []
        self.changed = asyncio.Event()

    def hide(self, folders: Sequence[str]) -> None:
        """Nobody needs to see these names either."""
        self._hidden = tuple(sorted({*self._hidden, *filter(None, folders)}, key=len, reverse=True))

    def feed(self, data: bytes) -> None:
        """Takes what was printed, whole lines or not."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self.add(line[:MAX_LINE_BYTES].decode(errors="replace").rstrip())

    def add(self, line: str) -> None:
        """One more line."""
        for folder in self._hidden:
            line = line.replace(folder, "")
        self._lines.append(line)
        self._count += 1
        if self._path is not None:
            self._unwritten.append(line)
        self.changed.set()
        self.changed = asyncio.Event()

    def ended(self) -> None:
        """The process will print nothing more."""
        if self._rest:
            self.feed(b"\n")

    @property
    def count(self) -> int:
        """How many lines there have been."""
        return self._count

    def last(self, lines: int) -> list[str]:
        """The last so many that are kept."""
        return list(self._lines)[-lines:] if lines > 0 else []

    def since(self, count: int) -> list[str]:
        """What came after the first `count` lines, as far as it is kept."""
        return self.last(self._count - count)

    async def keep(self) -> None:
        """Writes the file every now and then, until cancelled."""
        while True:
            changed = self.changed
            if self._unwritten:
                await self.write()
                await asyncio.sleep(WRITE_EVERY_S)
            else:
                await changed.wait()

    async def write(self) -> None:
        """Writes what is not written yet."""
        lines, self._unwritten = self._unwritten, []
        if self._path is not None and lines:
            await asyncio.to_thread(_append, self._path, "\n".join((*lines, "")))


def _append(path: Path, text: str) -> None:
    """A file that has grown too large is set aside, and the one before it forgotten. A full disk costs the lines."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > MAX_FILE_BYTES:
            path.replace(path.with_suffix(".1.log"))
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return

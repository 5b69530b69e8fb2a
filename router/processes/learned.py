"""What loads have shown: how much memory each process needs and how long it takes, kept over a restart."""

import logging
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

logger = logging.getLogger(__name__)

NAME = "llama.json"
MAX_BYTES = 1024 * 1024
MAX_LOADS = 200
_BUFFER = re.compile(r"(\S+)\s+(?:\S+ )?buffer size =\s+(\d+(?:\.\d+)?) MiB")
_MIB = 1024 * 1024


class Load(Struct, frozen=True):
    """The memory that it took, in bytes, and its seconds."""

    memory: int
    seconds: float


class Learned:
    """Loads by the mark of their launch. Without a folder they are forgotten with the process."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / NAME if folder else None
        self._loads = self._read()

    def of(self, mark: str) -> Load | None:
        return self._loads.get(mark)

    def learn(self, mark: str, load: Load) -> None:
        """Takes note of a load; blocks while the file is written."""
        self._loads.pop(mark, None)
        self._loads[mark] = load
        self._loads = dict(list(self._loads.items())[-MAX_LOADS:])
        if self._path is None:
            return
        beside = self._path.with_name(f".{NAME}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.write_bytes(msgspec.json.encode(self._loads))
            beside.replace(self._path)
        except OSError as error:
            logger.warning("%s cannot be written to the data folder: %s", NAME, error.strerror)

    def _read(self) -> dict[str, Load]:
        if self._path is None or not self._path.exists():
            return {}
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(MAX_BYTES), type=dict[str, Load])
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
            logger.warning("%s in the data folder cannot be used, and is begun anew: %s", NAME, type(error).__name__)
            return {}


def memory_of(lines: Iterable[str], pid: int | None) -> int | None:
    """Bytes that a loaded process has taken: what it says of its buffers, on GPUs if there are any; else what the
    system says of it."""
    sizes: dict[bool, float] = {}
    for line in lines:
        if found := _BUFFER.search(line):
            on_gpu = not found[1].upper().startswith("CPU") and "HOST" not in found[1].upper()
            sizes[on_gpu] = sizes.get(on_gpu, 0.0) + float(found[2])
    if sizes:
        return int(sizes.get(True, sizes.get(False, 0.0)) * _MIB)
    return _peak(pid) if pid is not None and sys.platform == "linux" else None


def _peak(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else None

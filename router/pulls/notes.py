"""Files that tell the next run which pulls this one did not see to their end."""

import logging
from collections import deque
from contextlib import suppress
from pathlib import Path
from threading import Lock

import msgspec
from msgspec import Struct

from router.dialects.failures import UNREADABLE
from router.processes.records import Running, runs, this_process
from router.pulls.state import Pull

logger = logging.getLogger(__name__)

MAX_BYTES = 64 * 1024
MAX_TAKEN = 100
MAX_GONE = 200
"""Ends that are remembered, in case the beginning is still being written."""
NOBODY = Running(0, "")


class Note(Struct, frozen=True, kw_only=True):
    """A pull that runs, and the router that has it run."""

    owner: Running
    id: str
    backend: str
    model: str
    started_at: float
    restarts: int = 0

    def pull(self) -> Pull:
        """The same pull, begun again."""
        return Pull(
            id=self.id,
            backend=self.backend,
            model=self.model,
            started_at=self.started_at,
            restarts=self.restarts + 1,
        )


class Notes:
    """One file for each pull that runs. Without a folder nothing is kept. Every method blocks."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._me = this_process()
        self._lock = Lock()
        self._gone: deque[str] = deque(maxlen=MAX_GONE)

    def write(self, pull: Pull) -> None:
        """Without room on the disk there is no note, and none of what was forgotten meanwhile."""
        self._note(pull, self._me)

    def _note(self, pull: Pull, owner: Running) -> None:
        if self._folder is None:
            return
        note = Note(
            owner=owner,
            id=pull.id,
            backend=pull.backend,
            model=pull.model,
            started_at=pull.started_at,
            restarts=pull.restarts,
        )
        try:
            with self._lock:
                if pull.id not in self._gone:
                    _write(self._folder / f"{pull.id}.json", note)
        except OSError as error:
            logger.warning("a pull cannot be noted in the data folder, so a restart ends it: %s", error.strerror)

    def forget(self, pull_id: str) -> None:
        """It has ended."""
        if self._folder is not None:
            with self._lock, suppress(OSError):
                self._gone.append(pull_id)
                (self._folder / f"{pull_id}.json").unlink(missing_ok=True)

    def hand_over(self, pull: Pull) -> None:
        """This router stops: whoever comes next may go on, even under the same pid."""
        self._note(pull, NOBODY)

    def left_behind(self) -> list[Note]:
        """What routers that are gone have left running."""
        if self._folder is None or not self._folder.is_dir():
            return []
        files = sorted(self._folder.glob("*.json"))[:MAX_TAKEN]
        found = [note for file in files if (note := _read(file)) is not None]
        return [note for note in found if not runs(note.owner)]


def _write(file: Path, note: Note) -> None:
    """The whole file or nothing of it."""
    beside = file.with_suffix(".part")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside.write_bytes(msgspec.json.encode(note))
    beside.replace(file)


def _read(file: Path) -> Note | None:
    """A file that is no note is taken away."""
    try:
        with file.open("rb") as opened:
            note = msgspec.json.decode(opened.read(MAX_BYTES), type=Note)
    except (OSError, *UNREADABLE):
        note = None
    if note is not None and note.id == file.stem:
        return note
    with suppress(OSError):
        file.unlink(missing_ok=True)
    return None

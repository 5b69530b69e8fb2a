"""What was learned about estimates, kept over a restart: one small JSON file, written beside the path."""

import asyncio
import logging
import os
from math import isfinite
from pathlib import Path

import msgspec
from msgspec import Struct

from router.usage.calibration import MAX_MODELS, Calibration, Kind, Ratio

logger = logging.getLogger(__name__)

NAME = "calibration.json"
SAVE_S = 60.0
MAX_BYTES = 1024 * 1024


class _Entry(Struct):
    kind: Kind
    ratio: Ratio


class _Document(Struct):
    version: int
    models: list[_Entry]


_DECODER = msgspec.json.Decoder(_Document)


class CalibrationFile:
    """Keeps a calibration in a folder, or, without one, nowhere. A file that cannot be used is only told to the log."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / NAME if folder else None
        self._saved = 0

    def load(self) -> Calibration:
        """What was kept; an empty calibration where there is nothing, or nothing readable."""
        if self._path is None or not self._path.exists():
            return Calibration()
        try:
            with self._path.open("rb") as file:
                document = _DECODER.decode(file.read(MAX_BYTES))
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
            logger.warning("%s in the data folder cannot be used, and is begun anew: %s", NAME, type(error).__name__)
            return Calibration()
        entries = document.models[-MAX_MODELS:] if document.version == 1 else []
        return Calibration({entry.kind: entry.ratio for entry in entries if _is_sound(entry.ratio)})

    async def keep(self, calibration: Calibration) -> None:
        """Saves now and then, until cancelled."""
        while True:
            await asyncio.sleep(SAVE_S)
            await asyncio.to_thread(self.save, calibration)

    def save(self, calibration: Calibration) -> None:
        """Writes what has changed since the last time: the whole file or nothing of it."""
        if self._path is None or calibration.changes == self._saved:
            return
        changes = calibration.changes
        document = _Document(1, [_Entry(kind, ratio) for kind, ratio in calibration])
        beside = self._path.with_name(f".{NAME}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.write_bytes(msgspec.json.encode(document))
            beside.replace(self._path)
        except OSError as error:
            logger.warning("%s cannot be written to the data folder: %s", NAME, error.strerror)
        self._saved = changes


def _is_sound(ratio: Ratio) -> bool:
    numbers = (ratio.mean, ratio.variance, ratio.weight, ratio.before, ratio.after)
    return all(map(isfinite, numbers)) and abs(ratio.mean) < 5 and ratio.variance >= 0 and ratio.samples >= 0

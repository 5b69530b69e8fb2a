"""Telling the log about an exception that nobody expected: its type and where it came from, never what it says."""

import logging
from pathlib import PurePath
from traceback import walk_tb

logger = logging.getLogger(__name__)

MAX_PLACES = 20


def log_unexpected(error: BaseException, path: str) -> None:
    """One line. Messages and values can hold prompts and keys, and absolute paths tell about the machine."""
    told: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(told) < MAX_PLACES:
        told.append(f"{type(cause).__name__} at {' > '.join(_places(cause)) or 'no place'}")
        cause = cause.__cause__ or cause.__context__
    logger.error("unexpected on %s: %s", path, ", after ".join(told))


def _places(error: BaseException) -> list[str]:
    """The calls that led to an exception as `folder/file.py:line function`, the innermost last."""
    return [
        f"{'/'.join(PurePath(frame.f_code.co_filename).parts[-2:])}:{line} {frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ][-MAX_PLACES:]

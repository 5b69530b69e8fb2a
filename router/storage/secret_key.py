"""The secret key that everything at rest is sealed with: from the environment, or a file that only we can read."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex, token_urlsafe

from router.storage.location import KEY_FILE_NAME, StorageProblem

VARIABLE = "TURNOUT_SECRET_KEY"
MIN_CHARS = 32
_OTHERS = 0o077


def read_keys(environ: Mapping[str, str], folder: Path | None) -> tuple[str, ...]:
    """The secret keys, the one to seal with first, then older ones that still open.

    They are in `TURNOUT_SECRET_KEY` with commas between them, else in a file of the data folder, which is made on the
    first start. Raises StorageProblem for a key that is too short, a file that others may read, or neither of them.
    """
    if written := environ.get(VARIABLE):
        return _checked(written.split(","))
    if folder is None:
        raise StorageProblem(f"there is no secret key: set {VARIABLE}, or server.data_dir for a file with one")
    return read_file(folder / KEY_FILE_NAME)


def read_file(file: Path) -> tuple[str, ...]:
    """The keys in a file, one a line; a new one if there is no file."""
    if not file.exists():
        with suppress(FileExistsError):
            _create(file, [token_urlsafe(48)])
    if os.name == "posix" and file.stat().st_mode & _OTHERS:
        raise StorageProblem("others may read the file of the secret key: chmod 600 it")
    return _checked(file.read_text(encoding="ascii").splitlines())


def replace_file(file: Path, keys: Sequence[str]) -> None:
    """Puts other keys into the file, all at once."""
    temporary = _written_beside(file, keys)
    temporary.replace(file)


def _create(file: Path, keys: Sequence[str]) -> None:
    """Makes the file, whole from the first moment on. Raises FileExistsError when another router was faster."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = _written_beside(file, keys)
    try:
        os.link(temporary, file)
    finally:
        temporary.unlink()


def _written_beside(file: Path, keys: Sequence[str]) -> Path:
    temporary = file.with_name(f".{file.name}.{token_hex(8)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
        opened.write("".join(f"{key}\n" for key in keys))
        opened.flush()
        os.fsync(opened.fileno())
    return temporary


def _checked(written: Sequence[str]) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in written if key.strip())
    if not keys or any(len(key) < MIN_CHARS for key in keys):
        raise StorageProblem(f"a secret key has at least {MIN_CHARS} characters: `openssl rand -base64 32` makes one")
    return keys

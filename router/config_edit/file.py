"""Writing a changed settings file: checked first, with a copy of the old one, all of it or nothing."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from tempfile import NamedTemporaryFile

from pydantic import JsonValue

from router.config import ConfigError, Problem, parse
from router.config_edit import EditRefused
from router.config_edit.changes import Change
from router.config_edit.rewrite import plain, rewritten

BACKUP_SUFFIX = ".bak"
_BOM = b"\xef\xbb\xbf"
_SECRET_NAMES = frozenset({"api_key", "api_keys", "key", "headers"})
_SECRET = re.compile(r"""(?:api_keys?|key|headers)["']?\s*:|^[+ -]\s*-\s""")

_VARIABLE = re.compile(r"""["']?\$\{\w+\}["']?""")


@dataclass(frozen=True, slots=True)
class Edited:
    """`diff` is what has changed, keys hidden; empty when nothing has, and then there is no new `backup`."""

    path: Path
    diff: str
    backup: Path | None = None


def edit_file(path: Path, change: Change, *, environ: Mapping[str, str]) -> Edited:
    """Changes the file, through a link if it is one, and keeps the old one beside it.

    Raises EditRefused when the change cannot be made, and ConfigError with the problems that it would bring in.
    """
    target = path.resolve()
    try:
        before = target.read_bytes()
        mark, text = (_BOM, before[3:].decode()) if before.startswith(_BOM) else (b"", before.decode())
    except (OSError, UnicodeDecodeError):
        raise EditRefused(f"{path.name} cannot be read, or is not UTF-8 text") from None
    edit = change(plain(text))
    after = rewritten(text, edit.document, comments=edit.comments)
    if after == text:
        return Edited(path, "")
    _check(text, after, name=path.name, environ=environ)
    backup = _written(target, before, mark + after.encode())
    return Edited(path, diff(text, after, name=path.name), backup)


def diff(before: str, after: str, *, name: str) -> str:
    """What has changed, as `diff -u` shows it; keys and headers that are not variables are hidden."""
    lines = unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="")
    secrets = sorted({*_secrets(plain(before)), *_secrets(plain(after))}, key=len, reverse=True)
    return "".join(f"{_hidden(line, secrets)}\n" for line in lines)


def _secrets(value: JsonValue, *, within: bool = False) -> Iterator[str]:
    """Every text below a name that stands for something secret."""
    if isinstance(value, str) and within and value and not _VARIABLE.fullmatch(value):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _secrets(each, within=within or name in _SECRET_NAMES)
    elif isinstance(value, list):
        for each in value:
            yield from _secrets(each, within=within)


def _check(before: str, after: str, *, name: str, environ: Mapping[str, str]) -> None:
    """Raises ConfigError with what is wrong after the change and was not before."""
    known = {(problem.where, problem.message) for problem in _problems(before, name, environ)}
    new = [each for each in _problems(after, name, environ) if (each.where, each.message) not in known]
    if new:
        raise ConfigError(tuple(new))


def _problems(text: str, name: str, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    try:
        parse(text, source=name, environ=environ)
    except ConfigError as error:
        return error.problems
    return ()


def _written(target: Path, before: bytes, after: bytes) -> Path:
    backup = target.with_name(target.name + BACKUP_SUFFIX)
    try:
        mode = target.stat().st_mode & 0o777
        _replace(backup, before, mode)
        if target.read_bytes() != before:
            raise EditRefused(f"{target.name} was changed by somebody else at the same time: try again")
        _replace(target, after, mode)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise EditRefused(f"{target.name} cannot be written ({why}); it is as it was") from None
    return backup


def _replace(path: Path, content: bytes, mode: int) -> None:
    """The file has the old content or the new one at every moment, also when the power goes."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(file.name).unlink()
            raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _hidden(line: str, secrets: Sequence[str]) -> str:
    """Without what may be a secret: rather too much than too little."""
    for secret in secrets:
        line = line.replace(secret, "[hidden]")
    found = _SECRET.search(line)
    rest = line[found.end() :].strip() if found else ""
    if found is None or not rest or _VARIABLE.fullmatch(rest):
        return line
    return f"{line[: found.end()].rstrip()} [hidden]"

"""Writing a changed settings file: checked first, with a copy of the old one, all of it or nothing."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from tempfile import NamedTemporaryFile

from pydantic import JsonValue

from router.config import ConfigError, Problem, parse
from router.config_edit import EditRefused
from router.config_edit.changes import Change, Document
from router.config_edit.rewrite import plain, rewritten
from router.config_edit.tree import Part, read

BACKUP_SUFFIX = ".bak"
_BOM = b"\xef\xbb\xbf"
_SECRET_NAMES = frozenset({"api_key", "api_keys", "key", "headers"})
_SECRET = re.compile(r"""(?:api_keys?|key|headers)["']?\s*:""")
_ITEM = re.compile(r".\s*(?:-\s+)?")
_VARIABLE = re.compile(r"""["']?\$\{\w+\}["']?""")


@dataclass(frozen=True, slots=True)
class Edited:
    """`diff` is what has changed, keys hidden; empty when nothing has, and then there is no new `backup`."""

    path: Path
    diff: str
    backup: Path | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A change that is checked and not made yet; `was` and `becomes` are the settings, as they are written."""

    path: Path
    was: Document
    becomes: Document
    diff: str
    old: bytes
    new: bytes

    def write(self) -> Edited:
        """Makes the change. Raises EditRefused, also when the file is another by now."""
        if self.new == self.old:
            return Edited(self.path, "")
        return Edited(self.path, self.diff, _written(self.path.resolve(), self.old, self.new))


def edit_file(path: Path, change: Change, *, environ: Mapping[str, str]) -> Edited:
    """Changes the file, through a link if it is one, and keeps the old one beside it; raises as `draft`."""
    return draft(path, change, environ=environ).write()


def draft(path: Path, change: Change, *, environ: Mapping[str, str]) -> Draft:
    """What the change would make of the file.

    Raises EditRefused when the change cannot be made, and ConfigError with the problems that it would bring in.
    """
    try:
        before = path.resolve().read_bytes()
        mark, text = (_BOM, before[3:].decode()) if before.startswith(_BOM) else (b"", before.decode())
    except (OSError, UnicodeDecodeError):
        raise EditRefused(f"{path.name} cannot be read, or is not UTF-8 text") from None
    was = plain(text)
    edit = change(was)
    after = rewritten(text, edit.document, comments=edit.comments)
    if after != text:
        _check(text, after, name=path.name, environ=environ)
    return Draft(path, was, edit.document, diff(text, after, name=path.name), before, mark + after.encode())


def diff(before: str, after: str, *, name: str) -> str:
    """What has changed, as `diff -u` shows it; keys and headers that are not variables are hidden."""
    lines = unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="")
    secrets = _Secrets(before, after)
    return "".join(f"{secrets.hidden(line)}\n" for line in lines)


class _Secrets:
    """What is secret in some texts: values, and the lines on which they stand."""

    def __init__(self, *texts: str) -> None:
        self._values = sorted({value for text in texts for value in _values(plain(text))}, key=len, reverse=True)
        self._lines = {line for text in texts for part in _parts(read(text)) for line in _lines_of(text, part)}

    def hidden(self, line: str) -> str:
        """A line of a diff without what may be secret: rather too much than too little."""
        is_secret = line[1:] in self._lines
        for value in self._values:
            line = line.replace(value, "[hidden]")
        if found := _SECRET.search(line):
            rest = line[found.end() :].strip()
            return f"{line[: found.end()].rstrip()} [hidden]" if rest and not _VARIABLE.fullmatch(rest) else line
        begin = _ITEM.match(line) if is_secret else None
        return f"{begin[0]}[hidden]" if begin else line


def _values(value: JsonValue, *, within: bool = False) -> Iterator[str]:
    """Every text below a name that stands for something secret; of an item with names, those named so."""
    if isinstance(value, str) and within and value and not _VARIABLE.fullmatch(value):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _values(each, within=within or name in _SECRET_NAMES)
    elif isinstance(value, list):
        for each in value:
            yield from _values(each, within=within and not isinstance(each, dict))


def _parts(part: Part | None, *, within: bool = False) -> Iterator[Part]:
    """Where those texts stand."""
    if part is None:
        return
    if within and isinstance(part.value, str) and part.value and not _VARIABLE.fullmatch(part.value):
        yield part
    for entry in part.entries:
        kept = within and not (entry.key is None and entry.value.kind == "mapping")
        yield from _parts(entry.value, within=kept or entry.name in _SECRET_NAMES)


def _lines_of(text: str, part: Part) -> list[str]:
    end = text.find("\n", part.end)
    return text[text.rfind("\n", 0, part.start) + 1 : len(text) if end < 0 else end].splitlines()


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

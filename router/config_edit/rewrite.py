"""The text of a settings file that says something else, changed in no other place."""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher

from pydantic import JsonValue

from router.config_edit import EditRefused
from router.config_edit.render import block, inline, same
from router.config_edit.tree import Entry, Part, read

Path = tuple[str, ...]

_COMMENT = re.compile(r"(^|[\s,\[{])#", re.MULTILINE)
_JSON = re.compile(r'\s*\{\s*"')
_DASH = re.compile(r"[ ]*-[ ]+")


def plain(text: str) -> dict[str, JsonValue]:
    """What a text says, variables as they are written. Raises EditRefused."""
    root = read(text)
    value = None if root is None else root.value
    if value is not None and not isinstance(value, dict):
        raise EditRefused("the file is not a mapping")
    return value or {}


def rewritten(text: str, wanted: dict[str, JsonValue], *, comments: Mapping[Path, str] | None = None) -> str:
    """A text that says `wanted`. `comments` go above entries that are new.

    Raises EditRefused when that cannot be done without losing what a person wrote.
    """
    root = read(text)
    writer = _Writer(text, comments or {}, step=_step(root, text))
    if root is None:
        writer.append(wanted)
    else:
        writer.change(root, wanted, ())
    result = writer.text()
    if not same(plain(result), wanted):
        raise EditRefused("the file shares values (&, *) or is written in a way that this change would break")
    return result


def _step(root: Part | None, text: str) -> int:
    """By how much the file indents."""
    for entry in root.entries if root else ():
        inner = entry.value
        if inner.kind == "mapping" and not inner.flow and inner.entries:
            start = inner.entries[0].start
            return max(1, start - text.rfind("\n", 0, start) - 1)
    return 2


class _Writer:
    """Collects what is to be replaced, then does it all."""

    def __init__(self, text: str, comments: Mapping[Path, str], *, step: int) -> None:
        self._old = text
        self._comments = comments
        self._step = step
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._as_json = _JSON.match(text) is not None
        self._splices: list[tuple[int, int, str]] = []

    def text(self) -> str:
        """The new text."""
        parts: list[str] = []
        done = 0
        for start, end, new in sorted(self._splices, key=lambda splice: splice[:2]):
            parts += (self._old[done:start], new)
            done = end
        return "".join((*parts, self._old[done:]))

    def change(self, part: Part, wanted: JsonValue, path: Path, *, entry: Entry | None = None) -> None:
        """Has the value at `path`, which is that of `entry`, say what is wanted."""
        if same(part.value, wanted):
            return
        if part.kind == "mapping" and isinstance(wanted, dict) and part.entries:
            self._mapping(part, wanted, path, entry)
        elif part.kind == "sequence" and isinstance(wanted, list) and wanted and part.entries:
            self._sequence(part, wanted, path)
        elif self._may_be_block(part, wanted, entry):
            self._open_block(part, wanted, path, entry)
        else:
            self._replace(part, wanted, entry)

    def append(self, wanted: Mapping[str, JsonValue]) -> None:
        """Adds entries at the end of a text that says nothing."""
        self._insert_lines(len(self._old), self._lines(wanted, (), 0))

    def _replace(self, part: Part, wanted: JsonValue, entry: Entry | None) -> None:
        new = inline(wanted, quote=part.style if part.style in {"'", '"'} else "", as_json=self._as_json)
        start, end = part.start, part.end
        if part.kind in {"mapping", "sequence"} and not part.flow and entry is not None and entry.key:
            start = self._after_colon(entry)
        if start == part.end or start != part.start:
            new = f" {new}"
        self._splice(start, end, new)

    def _may_be_block(self, part: Part, wanted: JsonValue, entry: Entry | None) -> bool:
        """Whether a value that is nothing yet can be written on lines of its own."""
        is_nothing = part.kind != "alias" and not part.value and part.value is not False and part.value != 0
        stands_alone = entry is not None and not entry.in_flow and self._is_first(entry.start)
        return bool(isinstance(wanted, dict) and wanted and is_nothing and stands_alone)

    def _open_block(self, part: Part, wanted: JsonValue, path: Path, entry: Entry | None) -> None:
        assert entry is not None
        assert entry.key is not None
        assert isinstance(wanted, dict)
        start = self._after_colon(entry)
        if part.end > start:
            self._splice(start, part.end, "")
        indent = self._column(entry.key.start) + self._step
        self._insert_lines(self._line_end(max(part.end, start)), self._lines(wanted, path, indent))

    def _mapping(self, part: Part, wanted: dict[str, JsonValue], path: Path, entry: Entry | None) -> None:
        kept = [each for each in part.entries if each.name in wanted]
        added = {name: value for name, value in wanted.items() if name not in {each.name for each in kept}}
        for each in kept:
            self.change(each.value, wanted[each.name], (*path, each.name), entry=each)
        if part.flow:
            self._drop_from_flow(part, kept)
            self._add_to_flow(part, added, beside=bool(kept))
            return
        for each in part.entries:
            if each.name not in wanted:
                self._drop_lines(each, self._block_end(each))
        if added:
            lines = self._lines(added, path, self._column(part.entries[0].start), spaced=self._is_spaced(part))
            self._insert_lines(self._section_end(part.entries[-1]), lines)
        elif not kept and entry is not None:
            at = self._after_colon(entry)
            self._splices.append((at, at, " {}"))

    def _drop_from_flow(self, part: Part, kept: list[Entry]) -> None:
        entries, position = part.entries, 0
        while position < len(entries):
            end = position
            while end < len(entries) and entries[end] not in kept:
                end += 1
            if end > position:
                if not kept:
                    self._splice(entries[0].start, part.end - 1, "")
                elif end < len(entries):
                    self._splice(entries[position].start, entries[end].start, "")
                else:
                    self._splice(entries[position - 1].end, entries[-1].end, "")
            position = end + 1

    def _add_to_flow(self, part: Part, added: Mapping[str, JsonValue], *, beside: bool) -> None:
        if not added:
            return
        last = part.entries[-1]
        as_json = self._as_json or (last.key is not None and last.key.style == '"')
        written = [
            f"{inline(name, as_json=as_json)}: {inline(value, as_json=as_json)}" for name, value in added.items()
        ]
        between = ", "
        if self._is_first(last.start):
            between = f",{self._newline}{' ' * self._column(last.start)}"
        new = between.join(written)
        at = last.end if beside else part.end - 1
        self._splices.append((at, at, between + new if beside else new))

    def _sequence(self, part: Part, wanted: list[JsonValue], path: Path) -> None:
        if part.flow:
            self._flow_sequence(part, wanted)
            return
        old = [_frozen(entry.value.value) for entry in part.entries]
        new = [_frozen(value) for value in wanted]
        for kind, i1, i2, j1, j2 in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
            if kind == "equal":
                continue
            both = min(i2 - i1, j2 - j1)
            for offset in range(both):
                self.change(part.entries[i1 + offset].value, wanted[j1 + offset], (*path, str(j1 + offset)))
            for each in part.entries[i1 + both : i2]:
                self._check_dash(each)
                self._drop_lines(each, self._line_end(each.end))
            if j1 + both < j2:
                self._add_items(part, i1 + both, wanted[j1 + both : j2])

    def _add_items(self, part: Part, position: int, values: list[JsonValue]) -> None:
        first = part.entries[0]
        self._check_dash(first)
        dash = self._old[self._line_start(first.start) : first.start]
        at = (
            self._line_start(part.entries[position].start)
            if position < len(part.entries)
            else self._line_end(part.entries[-1].end)
        )
        self._insert_lines(at, [dash + inline(value) for value in values])

    def _flow_sequence(self, part: Part, wanted: list[JsonValue]) -> None:
        written = {_frozen(each.value.value): self._old[each.start : each.end] for each in part.entries}
        quote = part.entries[-1].value.style
        items = [written.get(_frozen(value)) or inline(value, quote=quote, as_json=self._as_json) for value in wanted]
        self._splice(part.start, part.end, f"[{', '.join(items)}]")

    def _splice(self, start: int, end: int, new: str) -> None:
        if _COMMENT.search(self._old[start:end]):
            raise EditRefused("there is a comment in what would be replaced: change that place by hand")
        self._splices.append((start, end, new))

    def _drop_lines(self, entry: Entry, end: int) -> None:
        """Takes an entry out with its comments, and one of two empty lines around it."""
        start = self._line_start(entry.start)
        if entry.key is not None and not self._is_first(entry.start):
            raise EditRefused("an entry that shares its line with another cannot be taken out: do it by hand")
        before = self._old[:start].rstrip(" \t")
        is_after_empty = before.endswith(("\n\n", "\n\r\n")) or not before
        following = self._old[end:].split("\n", 1)[0]
        if is_after_empty and before and not following.strip():
            start -= 2 if before.endswith("\r\n") else 1
        self._splices.append((start, end, ""))

    def _lines(self, added: Mapping[str, JsonValue], path: Path, indent: int, *, spaced: bool = False) -> list[str]:
        lines: list[str] = []
        for name, value in added.items():
            lines += [""] if spaced else []
            if comment := self._comments.get((*path, name)):
                lines.append(f"{' ' * indent}# {comment}")
            if isinstance(value, dict) and value:
                lines.append(f"{' ' * indent}{inline(name)}:")
                lines += self._lines(value, (*path, name), indent + self._step)
            else:
                lines += block(name, value, indent=indent, step=self._step)
        return lines

    def _insert_lines(self, at: int, lines: list[str]) -> None:
        new = self._newline.join(lines)
        if at > 0 and not self._old[:at].endswith("\n"):
            new = self._newline + new
        else:
            new += self._newline
        self._splices.append((at, at, new))

    def _block_end(self, entry: Entry) -> int:
        """The end of its last line, and of the comments below that are indented deeper."""
        return self._end_with_comments(entry, self._column(entry.start) + 1)

    def _section_end(self, last: Entry) -> int:
        """The same of the section that it ends, with the comments that stand as its entries do."""
        return self._end_with_comments(last, max(1, self._column(last.start)))

    def _end_with_comments(self, entry: Entry, indent: int) -> int:
        seen = end = self._line_end(entry.end)
        for line in self._old[end:].splitlines(keepends=True):
            seen += len(line)
            stripped = line.strip()
            if stripped and not (stripped.startswith("#") and len(line) - len(line.lstrip(" ")) >= indent):
                break
            if stripped:
                end = seen
        return end

    def _is_spaced(self, part: Part) -> bool:
        """Whether its entries stand apart."""
        if len(part.entries) < 2:
            return False
        between = self._old[self._line_end(part.entries[-2].end) : self._line_start(part.entries[-1].start)]
        return any(not line.strip() for line in between.splitlines())

    def _check_dash(self, entry: Entry) -> None:
        if not _DASH.fullmatch(self._old[self._line_start(entry.start) : entry.start]):
            raise EditRefused("an item that shares its line with another cannot be changed: do it by hand")

    def _after_colon(self, entry: Entry) -> int:
        assert entry.key is not None
        return self._old.index(":", entry.key.end) + 1

    def _is_first(self, position: int) -> bool:
        return not self._old[self._line_start(position) : position].strip(" ")

    def _column(self, position: int) -> int:
        return position - self._line_start(position)

    def _line_start(self, position: int) -> int:
        return self._old.rfind("\n", 0, position) + 1

    def _line_end(self, position: int) -> int:
        """After the line break."""
        found = self._old.find("\n", position)
        return len(self._old) if found < 0 else found + 1


def _frozen(value: JsonValue) -> str:
    return inline(value, as_json=True)

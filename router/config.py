"""Reading a config file: finding it, YAML with places, `${VAR}`, and every problem in plain words."""

# ruamel.yaml has no types for the attributes of its nodes, marks and errors.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import path as os_path
from pathlib import Path
from typing import cast, get_args

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.reader import ReaderError

from router.declared import declared_at, section_in
from router.settings import Settings
from router.settings.checks import Conflict, cross_check, nearest
from router.settings.fields import Location

FILE_NAMES = ("turnout.yaml", "turnout.yml", "turnout.json")
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 50
MAX_VALUES = 20_000

Place = tuple[int, int]
Check = Callable[[Settings], Iterable[Conflict]]

_TOO_MUCH = "too many values, or nested too deeply"
_CORE_TAG = "tag:yaml.org,2002:"
_DOLLAR = re.compile(r"\$(?:(?P<escape>\$)|\{(?P<body>[^}]*)(?P<end>\}?))")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-.*)?", re.DOTALL)
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what ruamel.yaml counts as the end of a line
_QUOTED = re.compile(r"""(?P<quote>['"])(?P<text>.*?)(?P=quote)""")
_HARMLESS = re.compile(r"<[a-z ]+>|\\\w+|.{1,2}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. `line` and `column` count from 1; `where` is a dotted path, empty for the whole file."""

    source: str
    line: int | None
    column: int | None
    where: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        text = ": ".join(part for part in (place, self.where, self.message) if part)
        line = f"{text} ({self.hint})" if self.hint else text
        return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)


def nothing_else(_: Settings) -> Iterable[Conflict]:
    """Looks at nothing but the file."""
    return ()


class ConfigError(Exception):
    """The file cannot be used; `problems` is all that is wrong, in the order of its lines, no secret in it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def find(environ: Mapping[str, str], cwd: Path) -> Path | None:
    """The file to read when none is named.

    `TURNOUT_CONFIG` is taken even if it does not exist, and so is anything that bears the right name, even a directory:
    a config that is there but broken must not be passed over.
    """
    if named := environ.get("TURNOUT_CONFIG"):
        return cwd / named
    known = [cwd / name for name in FILE_NAMES]
    if base := environ.get("XDG_CONFIG_HOME") or (environ.get("HOME") and f"{environ['HOME']}/.config"):
        known.append(Path(base, "turnout", FILE_NAMES[0]))
    return next((path for path in known if os_path.lexists(path)), None)


def load(path: Path | None = None, *, environ: Mapping[str, str], also: Check = nothing_else) -> Settings:
    """The settings in `path`, or in the file that `find` sees from the working directory, or the defaults.

    Raises ConfigError, also for what `also` finds.
    """
    path = path or find(environ, Path())
    return Settings() if path is None else parse(read(path), source=str(path), environ=environ, also=also)


def parse(text: str, *, source: str, environ: Mapping[str, str], also: Check = nothing_else) -> Settings:
    """The settings in a YAML or JSON text. Raises ConfigError; `source` is what its lines call the text."""
    document = _Document(text, source=source, environ=environ)
    settings = _validate(document)
    for conflict in also(settings) if settings else ():
        document.report(conflict.loc, conflict.message, hint=conflict.hint)
    if settings is None or document.problems:
        raise ConfigError(tuple(sorted(document.problems, key=lambda found: (found.line or 0, found.column or 0))))
    return settings


def read(path: Path) -> str:
    """The text of a config file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unusable(path, "no such file") from None
    except IsADirectoryError:
        raise _unusable(path, "is a directory, not a file") from None
    except OSError as exc:
        raise _unusable(path, f"cannot be read: {(exc.strerror or type(exc).__name__).lower()}") from None
    if len(raw) > MAX_BYTES:
        raise _unusable(path, f"is larger than {MAX_BYTES} bytes: this is no config file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _unusable(path, "is not UTF-8 text", line=raw.count(b"\n", 0, exc.start) + 1) from None


def _unusable(path: Path, message: str, *, line: int | None = None) -> ConfigError:
    return ConfigError((Problem(str(path), line, None, "", message),))


class _Document:
    """A YAML text as plain values (`data`), the place of each, and the problems met so far."""

    def __init__(self, text: str, *, source: str, environ: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._environ = environ
        self._places: dict[Location, Place] = {(): (1, 1)}
        self._spoilt: set[Location] = set()
        self._open: set[int] = set()
        self._count = 0
        self._yaml = YAML(typ="safe", pure=True)
        self.data = self._sections(self._compose(text))

    def report(self, loc: Location, message: str, *, hint: str | None = None, place: Place | None = None) -> None:
        """Adds a problem about `loc`, at `place` or where `loc`, or what is nearest around it, is written."""
        written = next(around for end in range(len(loc), -1, -1) if (around := loc[:end]) in self._places)
        line, column = place or self._places[written]
        self.problems.append(Problem(self._source, line, column, _dotted(loc), message, hint))

    def place(self, loc: Location) -> Place | None:
        return self._places.get(loc)

    def is_spoilt(self, loc: Location) -> bool:
        """Whether the value at `loc` holds, or is held by, one that could not be read."""
        return any(loc[: len(bad)] == bad[: len(loc)] for bad in self._spoilt)

    def _spoil(self, loc: Location, message: str, *, hint: str | None = None) -> None:
        if () not in self._spoilt:
            self.report(loc, message, hint=hint)
        self._spoilt.add(() if message == _TOO_MUCH else loc)

    def _compose(self, text: str) -> Node | None:
        self._yaml.max_depth = MAX_DEPTH
        self._yaml.composer.warn_double_anchors = False
        try:
            return cast("Node | None", self._yaml.compose(text))
        except MarkedYAMLError as exc:
            place, message, hint = _syntax_error(exc, text)
            self.report((), f"not valid YAML: {message}", hint=hint, place=place)
        except ReaderError as exc:
            before = _BREAK.split(text[: exc.position])
            place = (len(before), len(before[-1]) + 1)
            self.report((), f"not valid YAML: the character U+{exc.character:04X} is not allowed", place=place)
        except (ValueError, OverflowError, AssertionError, KeyError):
            # ruamel.yaml lets these out of an escape beyond Unicode (\\UFFFFFFFF) and of an odd %YAML line.
            self.report((), "not valid YAML: an escape beyond Unicode, or an unknown %YAML version")
        return None

    def _sections(self, root: Node | None) -> dict[str, JsonValue]:
        data = None if root is None else self._value(root, ())
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None or key not in Settings.model_fields}
        if data is not None:
            self.report((), f"must be a mapping, got {_word_for(data)}", hint=_valid_keys(()))
        return {}

    def _value(self, node: Node, loc: Location) -> JsonValue:
        self._places.setdefault(loc, _place(node))
        self._count += 1
        if isinstance(node, ScalarNode):
            return self._scalar(node, loc)
        if node.tag != _CORE_TAG + ("map" if isinstance(node, MappingNode) else "seq"):
            return self._spoil(loc, "an unknown tag", hint="a value that starts with ! goes in quotes")
        if id(node) in self._open:
            return self._spoil(loc, "contains itself")
        if self._count > MAX_VALUES or len(loc) >= MAX_DEPTH:
            return self._spoil(loc, _TOO_MUCH)
        self._open.add(id(node))
        value = self._mapping(node, loc) if isinstance(node, MappingNode) else self._sequence(node, loc)
        self._open.discard(id(node))
        return value

    def _sequence(self, node: Node, loc: Location) -> JsonValue:
        items = cast("list[Node]", node.value)
        return [self._value(item, (*loc, position)) for position, item in enumerate(items)]

    def _mapping(self, node: MappingNode, loc: Location) -> JsonValue:
        found: dict[str, JsonValue] = {}
        for key_node, value_node in cast("list[tuple[Node, Node]]", node.value):
            key = _joined(str(key_node.value))
            place = _place(key_node)
            if not isinstance(key_node, ScalarNode):
                self.report(loc, "a key must be plain text", place=place)
            elif key_node.tag == f"{_CORE_TAG}merge":
                self.report(loc, "merging with << is not supported", hint="write the keys out", place=place)
            elif key in found:
                first = self._places[*loc, key][0]
                self.report(loc, f"duplicate key{_named((*loc, key))}", hint=f"first in line {first}", place=place)
            else:
                self._places[*loc, key] = place
                found[key] = self._value(value_node, (*loc, key))
        return found

    def _scalar(self, node: ScalarNode, loc: Location) -> JsonValue:
        kind, text = str(node.tag).removeprefix(_CORE_TAG), str(node.value)
        if kind in {"str", "timestamp", "value", "merge"}:
            return _joined(self._interpolated(text, loc))
        if kind not in {"int", "float", "bool", "null"}:
            return self._spoil(loc, "an unknown tag", hint="a value that starts with ! goes in quotes")
        if node.anchor and not text:
            return self._spoil(loc, "an anchor for nothing", hint="a value that starts with & goes in quotes")
        try:
            return cast("JsonValue", self._yaml.constructor.construct_object(node))
        except (ValueError, LookupError):
            return text

    def _interpolated(self, text: str, loc: Location) -> str:
        def replace(match: re.Match[str]) -> str:
            if match["escape"]:
                return "$"
            variable = _VARIABLE.fullmatch(match["body"]) if match["end"] else None
            if variable is None:
                self._spoil(loc, "${ begins no variable", hint="write ${NAME} or ${NAME:-default}; $${ is a plain ${")
                return ""
            name, default = variable["name"], variable["default"]
            if name not in self._environ and default is None:
                hint = f"set it, or write ${{{name}:-default}}"
                self._spoil(loc, f"the environment variable {name} is not set", hint=hint)
            return self._environ.get(name) or (default or ":-")[2:]

        return _DOLLAR.sub(replace, text)


def _place(node: Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _joined(text: str) -> str:
    """Joins the two escapes with which JSON writes a character beyond U+FFFF, and which YAML leaves apart."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _syntax_error(exc: MarkedYAMLError, text: str) -> tuple[Place, str, str | None]:
    """Where, what and a hint. The parser's own words may quote the file, so anything longer than a sign is cut."""
    mark = exc.problem_mark or exc.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    written = "".join(_BREAK.split(text)[line : line + 1])
    whole = str(exc.problem).startswith("but ")
    words = f"{exc.context}, {exc.problem}" if whole else str(exc.problem)
    words = _QUOTED.sub(lambda match: match[0] if _HARMLESS.fullmatch(match["text"]) else "...", words)
    hint = None
    if isinstance(exc, MaxDepthExceededError):
        words = _TOO_MUCH
    elif "\t" in written[: len(written) - len(written.lstrip())] and not text.lstrip().startswith(("{", "[")):
        words, hint = "a tab in the indentation", "use spaces"
    elif written[max(column - 1, 0) : column + 1] == "${":
        hint = 'inside { } or [ ] write "${VAR}", in quotes'
    elif written[column : column + 1] in set("@`%*&!"):
        hint = f"a value that starts with {written[column]} goes in quotes"
    elif exc.context_mark and exc.context_mark.line != line and not whole:
        hint = f"{exc.context} from line {exc.context_mark.line + 1}"
    return (line + 1, column + 1), words, hint


def _validate(document: _Document) -> Settings | None:
    try:
        return Settings.model_validate(document.data)
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
    meant = {(*error["loc"][:-1], _meant(error["loc"])) for error in errors if error["type"] == "extra_forbidden"}
    for error in errors:
        at_key = error["loc"][-1] == "[key]" and document.place(error["loc"]) is None
        loc = error["loc"][:-1] if at_key else error["loc"]
        if not document.is_spoilt(loc) and not (error["type"] == "missing" and loc in meant):
            _explain(error, loc, document=document)
    if not any(error["type"] == "conflict" for error in errors):
        for conflict in cross_check(document.data):
            if not document.is_spoilt(conflict.loc):
                document.report(conflict.loc, conflict.message, hint=conflict.hint)
    return None


_WORDS = {
    "int_type": "must be a whole number, got {got}",
    "int_parsing": "must be a whole number, got {got}",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number, got a fraction",
    "float_type": "must be a number, got {got}",
    "float_parsing": "must be a number, got {got}",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false, got {got}",
    "bool_parsing": "must be true or false, got {got}",
    "string_type": "must be text, got {got}",
    "string_unicode": "must be text, and this is no valid Unicode",
    "tuple_type": "must be a list, got {got}",
    "dict_type": "must be a mapping, got {got}",
    "model_type": "must be a mapping, got {got}",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "too_short": "must have at least {min_length} item",
    "string_pattern_mismatch": "a name has only letters, digits, _ . and -, and begins with a letter or digit",
}


def _explain(error: ErrorDetails, loc: Location, *, document: _Document) -> None:
    """Reports one pydantic error. Its input is looked at, never shown: it may be a secret."""
    kind, context, given = error["type"], error.get("ctx", {}), cast("object", error["input"])
    item = next((f"item {part + 1}" for part in reversed(loc) if isinstance(part, int)), "")
    if kind == "extra_forbidden":
        message, hint = f"unknown key{_named(loc)}", _hint_for_key(loc)
        document.report(loc[:-1], message, hint=hint, place=document.place(loc))
    elif kind == "missing":
        document.report(loc[:-1], f'missing key "{loc[-1]}"')
    elif kind == "literal_error":
        choices = get_args(declared_at(loc))
        near = nearest(given, choices) if isinstance(given, str) else None
        document.report(loc, f"must be one of: {', '.join(choices)}", hint=f'did you mean "{near}"?' if near else None)
    elif kind == "conflict":
        document.report(loc, context["message"], hint=context["hint"])
    elif kind == "value_error":
        document.report(loc, ": ".join(filter(None, (item, str(context["error"])))))
    else:
        words = _WORDS.get(kind, "is not valid here").format(got=_word_for(given), **context)
        document.report(loc, f"{item} {words}".strip(), hint=_hint_for_type(kind, loc, given=given))


def _word_for(value: object) -> str:
    names = {"str": "text", "bool": "true or false", "list": "a list", "dict": "a mapping", "NoneType": "nothing"}
    return "empty text" if value == "" else names.get(type(value).__name__, "a number")


def _dotted(loc: Location) -> str:
    """Positions in lists are left out, and names of headers, which a slip can fill with a secret."""
    shown = loc[:3] if loc[2:3] == ("headers",) else loc
    return ".".join(part for part in shown if isinstance(part, str))


def _meant(loc: Location) -> str | None:
    section = section_in(declared_at(loc[:-1]))
    return nearest(str(loc[-1]).partition(":")[0], section.model_fields) if section else None


def _named(loc: Location) -> str:
    """The key in quotes, unless it may be a secret that lost its key: `auth: {sk-123}`, `{api_key:sk-123}`."""
    key = str(loc[-1]).partition(":")[0]
    suspect = loc[0] in {"auth", "backends"} and not re.fullmatch(r"[A-Za-z_-]{0,20}", key)
    return "" if suspect and not _meant(loc) else f' "{key[:40]}"'


def _hint_for_key(loc: Location) -> str | None:
    near = _meant(loc)
    if near and ":" in str(loc[-1]):
        return f'write "{near}: ", with a space after the colon'
    if near is None and len(loc) == 1:
        owners = {name: section_in(field.annotation) for name, field in Settings.model_fields.items()}
        near = next(
            (f"{name}.{loc[0]}" for name, owner in owners.items() if owner and loc[0] in owner.model_fields), None
        )
    return f'did you mean "{near}"?' if near else _valid_keys(loc[:-1])


def _valid_keys(loc: Location) -> str | None:
    section = section_in(declared_at(loc))
    return f"valid keys: {', '.join(section.model_fields)}" if section else None


def _hint_for_type(kind: str, loc: Location, *, given: object) -> str | None:
    if kind == "string_type" and isinstance(given, int | float):
        return "put it in quotes"
    if kind == "tuple_type" and isinstance(given, str):
        return "put it in [ ]"
    return _valid_keys(loc) if kind == "model_type" else None

"""A YAML text as values, and where each of them stands."""

# ruamel.yaml has no types for the attributes of its nodes, marks and errors.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false

import re
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pydantic import JsonValue
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from router.config_edit import EditRefused

_COLON = re.compile(r"\s*:")
_CORE = "tag:yaml.org,2002:"
_TEXTS = {f"{_CORE}{kind}" for kind in ("str", "timestamp", "value", "merge")}
_SCALARS = {f"{_CORE}{kind}" for kind in ("int", "float", "bool", "null")}


@dataclass(slots=True)
class Part:
    """A value in the text, from `start` to `end`; a block's end is that of its last value.

    An alias (`*name`) is a part with the value that it stands for.
    """

    kind: Literal["scalar", "mapping", "sequence", "alias"]
    start: int
    end: int
    value: JsonValue
    flow: bool = False
    style: str = ""
    entries: list["Entry"] = field(default_factory=list["Entry"])

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written where the value would be."""
        return self.start == self.end


@dataclass(slots=True)
class Entry:
    """One entry of a mapping, or with `key` None of a sequence."""

    key: Part | None
    value: Part
    in_flow: bool = False

    @property
    def name(self) -> str:
        return str(self.key.value) if self.key else ""

    @property
    def start(self) -> int:
        return self.key.start if self.key else self.value.start

    @property
    def end(self) -> int:
        return max(self.key.end if self.key else 0, self.value.end)


class _Alias(ScalarNode):
    """Where an alias stands, and what it stands for."""

    target: Node


class _Composer(Composer):
    """Leaves aliases where they are."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if not self.parser.check_event(AliasEvent):
            return super().compose_node(parent, index)
        event = self.parser.peek_event()
        alias = _Alias(_CORE + "str", event.anchor, event.start_mark, event.end_mark)
        alias.target = super().compose_node(parent, index)
        return alias


def read(text: str) -> Part | None:
    """The whole of a text; None when it says nothing. Raises EditRefused."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    try:
        root = cast("Node | None", yaml.compose(text))
        return None if root is None else _Reader(text, yaml).part(root)
    except (YAMLError, ValueError, LookupError, AssertionError, RecursionError):
        raise EditRefused("the file is not valid YAML, or more than one document: see `turnout check`") from None


class _Reader:
    def __init__(self, text: str, yaml: YAML) -> None:
        self._text = text
        self._yaml = yaml
        self._open: set[int] = set()

    def part(self, node: Node) -> Part:
        start, end = int(node.start_mark.index), int(node.end_mark.index)
        if isinstance(node, _Alias):
            return Part("alias", start, end, self.part(node.target).value)
        if id(node) in self._open:
            raise EditRefused("the file contains a value that contains itself")
        self._open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, start, end)
            if isinstance(node, SequenceNode):
                return self._sequence(node, start, end)
        finally:
            self._open.discard(id(node))
        style = str(getattr(node, "style", None) or "")
        if style in {"|", ">"}:
            end = start + len(self._text[start:end].rstrip())
        return Part("scalar", start, end, self._scalar(node), style=style)

    def _mapping(self, node: MappingNode, start: int, end: int) -> Part:
        pairs = cast("list[tuple[Node, Node]]", node.value)
        if any(key.tag == f"{_CORE}merge" for key, _ in pairs):
            raise EditRefused("the file merges with <<, which is not supported")
        entries = [self._entry(key, value, in_flow=bool(node.flow_style)) for key, value in pairs]
        value = {entry.name: entry.value.value for entry in entries}
        if len(value) < len(entries):
            raise EditRefused("the file has a key twice in one place")
        flow = bool(node.flow_style)
        return Part("mapping", start, end if flow else entries[-1].end, value, flow=flow, entries=entries)

    def _entry(self, key_node: Node, value_node: Node, *, in_flow: bool) -> Entry:
        key, value = self._key(key_node), self.part(value_node)
        if value.is_empty:  # ruamel.yaml sees it where the next thing is
            colon = _COLON.match(self._text, key.end)
            value.start = value.end = colon.end() if colon else key.end
        return Entry(key, value, in_flow)

    def _key(self, node: Node) -> Part:
        if isinstance(node, _Alias) or not isinstance(node, ScalarNode):
            raise EditRefused("a key of the file is not plain text")
        start, end = int(node.start_mark.index), int(node.end_mark.index)
        return Part("scalar", start, end, _joined(str(node.value)), style=str(node.style or ""))

    def _sequence(self, node: SequenceNode, start: int, end: int) -> Part:
        entries = [Entry(None, self.part(item)) for item in cast("list[Node]", node.value)]
        flow = bool(node.flow_style)
        value = [entry.value.value for entry in entries]
        return Part("sequence", start, end if flow else entries[-1].end, value, flow=flow, entries=entries)

    def _scalar(self, node: Node) -> JsonValue:
        """As the settings read it, but for variables, which stay as they are written."""
        if str(node.tag) in _SCALARS:
            return cast("JsonValue", self._yaml.constructor.construct_object(node))
        if str(node.tag) not in _TEXTS:
            raise EditRefused("the file has a tag (!), which is not supported")
        return _joined(str(node.value))


def _joined(text: str) -> str:
    """Joins the two escapes with which JSON writes a character beyond U+FFFF, and which YAML leaves apart."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

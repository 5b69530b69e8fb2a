"""Values as YAML text."""

# pyright: reportUnknownMemberType=false

import json
from io import StringIO
from typing import Any, cast

from pydantic import JsonValue
from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

_WIDE = 1_000_000


class _Representer(SafeRepresenter):
    """Quotes what ruamel would write plain and cannot read again, such as `?0` in a list."""

    def text(self, value: str) -> Any:
        """A scalar node."""
        return self.represent_scalar("tag:yaml.org,2002:str", value, style="'" if value.startswith("?") else None)


_Representer.add_representer(str, _Representer.text)


def inline(value: JsonValue, *, quote: str = "", as_json: bool = False) -> str:
    """A value on one line, valid in every place; a text in quotes of this kind, if one is given."""
    if as_json or (quote == '"' and isinstance(value, str)):
        text = json.dumps(value, ensure_ascii=False)
        return text if text.isprintable() else json.dumps(value)
    if quote == "'" and isinstance(value, str) and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = True
    yaml.width = _WIDE
    yaml.allow_unicode = True
    yaml.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue] (typed as None)
    out = StringIO()
    yaml.dump({"v": value}, out)  # as one of several: then it is quoted wherever it has to be
    return out.getvalue().strip()[len("{v: ") : -1]


def block(key: str, value: JsonValue, *, indent: int, step: int) -> list[str]:
    """An entry of a block mapping, line by line."""
    begin = f"{' ' * indent}{inline(key)}:"
    if not (isinstance(value, dict) and value):
        return [f"{begin} {inline(value)}"]
    inner = [line for name, each in value.items() for line in block(name, each, indent=indent + step, step=step)]
    return [begin, *inner]


def same(left: JsonValue, right: JsonValue) -> bool:
    """Whether two values are written alike: 1, 1.0 and true are three things."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, cast("list[JsonValue]", right)))
    return type(left) is type(right) and (left == right or (left != left and right != right))  # noqa: PLR0124 (NaN)

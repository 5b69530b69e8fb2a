"""JSON Schemas in the part of the language that Claude enforces."""

from collections.abc import Mapping
from typing import Any, cast

_KEPT = frozenset({"type", "title", "description", "required", "$ref"})
_NESTED = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_DEFINITIONS = frozenset({"properties", "$defs", "definitions"})
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)  # fmt: skip
_PRIMITIVES = (str, int, float, bool, type(None))


def enforceable(schema: Any) -> Any:
    """The schema with every object closed, and limits that Claude refuses told in descriptions instead.

    Keys keep their order, so that the same schema is the same bytes each time.
    """
    if not isinstance(schema, dict):
        return schema
    given = cast("dict[str, Any]", schema)
    types = given.get("type")
    if isinstance(types, list) and "enum" in given:
        given = {key: value for key, value in given.items() if key != "type"}
    elif isinstance(types, list):
        return _one_of_types(given, cast("list[Any]", types))
    out: dict[str, Any] = {}
    told: list[str] = []
    for key, value in given.items():
        _take(key, value, out, told)
    if given.get("type") == "object" or "properties" in given:
        out.setdefault("properties", {})
        out["additionalProperties"] = False
    if told:
        out["description"] = _joined(out.get("description"), told)
    return out


def _take(key: str, value: Any, out: dict[str, Any], told: list[str]) -> None:
    if key in _DEFINITIONS and isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        out[key] = {name: enforceable(inner) for name, inner in named.items()}
    elif key in _NESTED and isinstance(value, list):
        out[_NESTED[key]] = [enforceable(variant) for variant in cast("list[Any]", value)]
    elif key == "items":
        out[key] = enforceable(value)
    elif key in _KEPT or _is_enforced(key, value):
        out[key] = value
    elif key != "additionalProperties":
        told.append(f"{key}: {value}")


def _is_enforced(key: str, value: Any) -> bool:
    match key:
        case "const":
            return isinstance(value, _PRIMITIVES)
        case "enum":
            return isinstance(value, list) and all(isinstance(one, _PRIMITIVES) for one in cast("list[Any]", value))
        case "format":
            return value in _FORMATS
        case "minItems":
            return value in (0, 1)
        case _:
            return False


def _one_of_types(schema: Mapping[str, Any], types: list[Any]) -> Any:
    """A list of types as alternatives of one type each."""
    about = {key: schema[key] for key in ("title", "description") if key in schema}
    rest = {key: value for key, value in schema.items() if key not in about}
    if len(types) == 1:
        return enforceable({**schema, "type": types[0]})
    variants = [{"type": "null"} if kind == "null" else enforceable({**rest, "type": kind}) for kind in types]
    return {**about, "anyOf": variants}


def _joined(description: object, told: list[str]) -> str:
    limits = "{" + ", ".join(told) + "}"
    return f"{description}\n\n{limits}" if description else limits

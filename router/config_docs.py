"""What is written about settings from the models themselves: `config/README.md` and the JSON Schema.

`python -m router.config_docs --write` brings both up to date.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from router.config import FILE_NAMES
from router.declared import plain, section_in
from router.settings import Settings

CONFIG_FOLDER = Path(__file__).resolve().parents[1] / "config"

_PROSE = f"""# Settings

<!-- Written by `python -m router.config_docs --write` from router/settings. Do not edit. -->

A file is not needed: without one, Turnout listens on 127.0.0.1:7070 and looks for model servers on this
machine. [turnout.example.yaml](turnout.example.yaml) shows all settings in one file. For completion and checks while
typing, point your editor at [turnout.schema.json](turnout.schema.json), with this as the file's first line:

```yaml
# yaml-language-server: $schema=turnout.schema.json
```

`turnout check` reads a file and reports everything that is wrong with it.

## The file

YAML 1.2, or JSON. Without `--config FILE`, the first of these is read:

1. the file named by the environment variable `TURNOUT_CONFIG`,
2. {", ".join(f"`{name}`" for name in FILE_NAMES)} in the working directory,
3. `$XDG_CONFIG_HOME/turnout/turnout.yaml`, by default `~/.config/turnout/turnout.yaml`.

An empty file, and a section with nothing under it, mean defaults. Unknown and duplicate keys are errors. Anchors (`&a`)
and aliases (`*a`) work; merging with `<<` does not.

## Values from the environment

| written | becomes |
|---|---|
| `"${{LAB_KEY}}"` | the variable `LAB_KEY`; an error when it is not set |
| `"${{LAB_KEY:-none}}"` | the same, or `none` when it is unset or empty |
| `"$${{LAB_KEY}}"` | `${{LAB_KEY}}` itself: `$$` is a plain dollar |

This works inside text values, never in keys, also for numbers and switches (`port: "${{PORT:-7070}}"`). The value is
taken as it is: it cannot add keys or lists. Inside `{{ }}` or `[ ]` the quotes are needed. A dollar that is followed by
neither `{{` nor another dollar stays.

## Addresses of backends

`url` is where the server is, with the path it is mounted under, if any. What comes after makes no difference: these
are the same backend: `127.0.0.1:11434`, `http://127.0.0.1:11434/`, `http://127.0.0.1:11434/v1`,
`http://127.0.0.1:11434/api/chat`. Keys go into `api_key` or `headers`; a URL with a user name, a password or a query is
refused.

## Names

A backend's name has letters, digits, `_`, `.` and `-`. An alias may be any text, such as `gpt-4o` or `team/coder`.

## Errors

A file with an error in it is never used in part. All errors are reported at once, each on one line: file, line, place,
what is wrong and, where there is one, a way out. Values of keys and headers are never shown.

```
turnout.yaml:4: backends.desk: missing key "url"
turnout.yaml:8: backends.lab.api_key: the environment variable LAB is not set (set it, or write ${{LAB:-default}})
turnout.yaml:12: models.coder: unknown key "target" (did you mean "targets"?)
```
"""


def reference_text() -> str:
    """The text of `config/README.md`."""
    return "\n".join((_PROSE, *_section_text(Settings, ())))


def schema_text() -> str:
    """The text of `config/turnout.schema.json`."""
    schema = {
        "$schema": GenerateJsonSchema.schema_dialect,
        **Settings.model_json_schema(schema_generator=_LenientSchema),
        "title": "turnout.yaml",
        "description": "Settings of Turnout, an OpenAI-compatible router.",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


class _LenientSchema(GenerateJsonSchema):
    """Numbers and switches may also be written as text that holds a `${VAR}`."""

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return _or_variable(super().int_schema(schema))

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return _or_variable(super().float_schema(schema))

    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        return _or_variable(super().bool_schema(schema))


def _or_variable(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {"anyOf": [schema, {"type": "string", "pattern": r"\$\{.+\}"}]}


def _section_text(section: type[BaseModel], path: tuple[str, ...]) -> Iterator[str]:
    inner = {name: found for name, field in section.model_fields.items() if (found := _inner(field))}
    if path:
        yield from (
            f"## `{'.'.join(path)}`",
            "",
            f"{section.__doc__}",
            "",
            "| key | type | default | meaning |",
            "|---|---|---|---|",
        )
        yield from (_row(name, field) for name, field in section.model_fields.items())
        yield ""
    for name, (found, many) in inner.items():
        yield from _section_text(found, (*path, name, *many))


def _inner(field: FieldInfo) -> tuple[type[BaseModel], tuple[str, ...]] | None:
    """The section that a field holds, and how its path goes on when it holds many: by name, or in a list."""
    kind, many = cast("object", field.annotation), ()
    if get_origin(kind) is dict:
        kind, many = get_args(kind)[1], ("NAME",)
    elif get_origin(kind) is tuple:
        kind, many = get_args(kind)[0], ("ITEM",)
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    section = section_in(kind)
    return (section, many) if section else None


def _row(name: str, field: FieldInfo) -> str:
    kind = "; ".join((_type_in_words(field.annotation), *_limits(field)))
    return f"| `{name}` | {kind} | {_default(field)} | {field.description} |"


def _type_in_words(kind: object) -> str:
    words: dict[object, str] = {
        str: "text",
        SecretStr: "text, kept secret",
        int: "whole number",
        float: "number",
        bool: "`true` or `false`",
    }
    arguments = [argument for argument in get_args(kind) if argument not in {NoneType, ...}]
    origin = get_origin(kind)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if any(isinstance(argument, BeforeValidator) for argument in arguments):
        return f"text or {_type_in_words(arguments[0])}"
    if origin in {Annotated, Union, UnionType}:
        return _type_in_words(arguments[0])
    if origin is tuple:
        return f"list of {_type_in_words(arguments[0])}"
    if origin is dict:
        return f"mapping of name to {_type_in_words(arguments[1])}"
    return words.get(kind, "section" if section_in(kind) else "any value")


def _limits(field: FieldInfo) -> Iterator[str]:
    for limit in cast("list[object]", field.metadata):
        match limit:
            case Gt(gt=bound):
                yield f"more than {bound}"
            case Ge(ge=bound):
                yield f"at least {bound}"
            case Le(le=bound):
                yield f"at most {bound}"
            case MinLen(min_length=bound):
                yield f"at least {bound} item"
            case _:
                pass


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = plain(field.get_default(call_default_factory=True))
    if value is None:
        return "none"
    return "see below" if section_in(field.annotation) else f"`{json.dumps(value)}`"


def stale(folder: Path) -> dict[Path, str]:
    """The generated files that are missing or out of date, and what should be in them."""
    texts = {folder / "README.md": reference_text(), folder / "turnout.schema.json": schema_text()}
    return {path: text for path, text in texts.items() if not path.exists() or path.read_text("utf-8") != text}


def main() -> int:
    """Writes what is stale with `--write`; without, names it and returns 1."""
    parser = argparse.ArgumentParser(prog="python -m router.config_docs", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the files that are out of date")
    write = cast("bool", parser.parse_args().write)
    outdated = stale(CONFIG_FOLDER)
    for path, text in outdated.items():
        if write:
            path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.name}: {'written' if write else 'out of date'}\n")
    return 1 if outdated and not write else 0


if __name__ == "__main__":
    sys.exit(main())

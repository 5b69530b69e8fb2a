"""What people change, as functions from settings as they are written to others. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from router.config_edit import EditRefused

Document = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Edit:
    """What the settings become, and what to say above entries that are new."""

    document: Document
    comments: Mapping[tuple[str, ...], str] = field(default_factory=dict[tuple[str, ...], str])


Change = Callable[[Document], Edit]


def literal(text: str) -> str:
    """A text that means itself, although `${` begins a variable."""
    return text.replace("$", "$$")


def add_backend(name: str, settings: Mapping[str, JsonValue], *, comment: str = "") -> Change:
    """One more; EditRefused if there is one of that name."""

    def change(document: Document) -> Edit:
        if name in section(document, "backends"):
            raise EditRefused(f'there is a backend "{name}" already')
        return Edit(put(document, ("backends", name), dict(settings)), above(("backends", name), comment))

    return change


def update_backend(name: str, settings: Mapping[str, JsonValue]) -> Change:
    """These settings of it; None takes one out."""
    return lambda document: Edit(_merged(document, ("backends", name), settings, must_exist=True))


def remove_backend(name: str) -> Change:
    """What leads there must have been changed before."""
    return lambda document: Edit(_without(document, "backends", name))


def set_alias(name: str, settings: Mapping[str, JsonValue], *, comment: str = "") -> Change:
    """These settings of it, which may be new; None takes one out."""
    return lambda document: Edit(_merged(document, ("models", name), settings), above(("models", name), comment))


def remove_alias(name: str) -> Change:
    """What leads there must have been changed before."""
    return lambda document: Edit(_without(document, "models", name))


def set_default_model(name: str | None) -> Change:
    """Where a request goes that names nothing known; None is nowhere."""
    return lambda document: Edit(_merged(document, ("routing",), {"default_model": name}))


def select_model(backend: str, model: str) -> Change:
    """This model of this backend is the default."""
    return set_default_model(f"{backend}/{model}")


def above(path: tuple[str, ...], comment: str) -> dict[tuple[str, ...], str]:
    """The comment of one entry, if there is any."""
    words = " ".join(comment.split())
    return {path: words} if words else {}


def _merged(
    document: Document, path: tuple[str, ...], settings: Mapping[str, JsonValue], *, must_exist: bool = False
) -> Document:
    found: JsonValue = document
    for part in path:
        found = mapping(found, part).get(part)
    if found is None and must_exist:
        raise EditRefused(f'there is no "{path[-1]}" in the file')
    merged = {**mapping(found, path[-1]), **settings}
    return put(document, path, {key: value for key, value in merged.items() if value is not None})


def _without(document: Document, part: str, name: str) -> Document:
    entries = section(document, part)
    if name not in entries:
        raise EditRefused(f'there is no "{name}" in {part} of the file')
    return {**document, part: {key: value for key, value in entries.items() if key != name}}


def put(document: Document, path: tuple[str, ...], value: JsonValue) -> Document:
    """The settings with this value there."""
    if len(path) == 1:
        return {**document, path[0]: value}
    inner = mapping(document.get(path[0]), path[0])
    return {**document, path[0]: put(inner, path[1:], value)}


def section(document: Document, name: str) -> Document:
    """What stands under one of the first words, nothing if it is not there; raises EditRefused."""
    return mapping(document.get(name), name)


def mapping(value: JsonValue, name: str) -> Document:
    """The value, of which people are told by this name; raises EditRefused if it is something else."""
    if value is not None and not isinstance(value, dict):
        raise EditRefused(f"{name} is not a mapping in the file")
    return value or {}

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
        if name in _section(document, "backends"):
            raise EditRefused(f'there is a backend "{name}" already')
        return Edit(_with(document, ("backends", name), dict(settings)), _above(("backends", name), comment))

    return change


def update_backend(name: str, settings: Mapping[str, JsonValue]) -> Change:
    """These settings of it; None takes one out."""
    return lambda document: Edit(_merged(document, ("backends", name), settings, must_exist=True))


def remove_backend(name: str) -> Change:
    """What leads there must have been changed before."""
    return lambda document: Edit(_without(document, "backends", name))


def set_alias(name: str, settings: Mapping[str, JsonValue], *, comment: str = "") -> Change:
    """These settings of it, which may be new; None takes one out."""
    return lambda document: Edit(_merged(document, ("models", name), settings), _above(("models", name), comment))


def remove_alias(name: str) -> Change:
    """What leads there must have been changed before."""
    return lambda document: Edit(_without(document, "models", name))


def set_default_model(name: str | None) -> Change:
    """Where a request goes that names nothing known; None is nowhere."""
    return lambda document: Edit(_merged(document, ("routing",), {"default_model": name}))


def select_model(backend: str, model: str) -> Change:
    """This model of this backend is the default."""
    return set_default_model(f"{backend}/{model}")


def set_main(backend: str, model: str, *, alias: str | None = None) -> Change:
    """An alias that leads to the model first, and is the default. By default it is called as the model."""
    name, target = alias or model.removesuffix(":latest"), f"{backend}/{model}"

    def change(document: Document) -> Edit:
        if backend not in _section(document, "backends"):
            raise EditRefused(f'there is no backend "{backend}" in the file')
        aliases = _section(document, "models")
        known = _mapping(aliases.get(name), f'the alias "{name}"')
        targets = known.get("targets")
        others = [each for each in targets if each != target] if isinstance(targets, list) else []
        changed = _with(document, ("models", name), {**known, "targets": [target, *others]})
        comment = f"{model} on {backend}: where requests go that name no other model"
        return Edit(_with(changed, ("routing", "default_model"), name), _above(("models", name), comment))

    return change


def default_model(document: Document) -> str | None:
    """What `set_main` and `set_default_model` would replace."""
    found = _section(document, "routing").get("default_model")
    return found if isinstance(found, str) else None


def _above(path: tuple[str, ...], comment: str) -> dict[tuple[str, ...], str]:
    words = " ".join(comment.split())
    return {path: words} if words else {}


def _merged(
    document: Document, path: tuple[str, ...], settings: Mapping[str, JsonValue], *, must_exist: bool = False
) -> Document:
    found: JsonValue = document
    for part in path:
        found = _mapping(found, part).get(part)
    if found is None and must_exist:
        raise EditRefused(f'there is no "{path[-1]}" in the file')
    merged = {**_mapping(found, path[-1]), **settings}
    return _with(document, path, {key: value for key, value in merged.items() if value is not None})


def _without(document: Document, section: str, name: str) -> Document:
    entries = _section(document, section)
    if name not in entries:
        raise EditRefused(f'there is no "{name}" in {section} of the file')
    return {**document, section: {key: value for key, value in entries.items() if key != name}}


def _with(document: Document, path: tuple[str, ...], value: JsonValue) -> Document:
    if len(path) == 1:
        return {**document, path[0]: value}
    inner = _mapping(document.get(path[0]), path[0])
    return {**document, path[0]: _with(inner, path[1:], value)}


def _section(document: Document, name: str) -> Document:
    return _mapping(document.get(name), name)


def _mapping(value: JsonValue, name: str) -> Document:
    if value is not None and not isinstance(value, dict):
        raise EditRefused(f"{name} is not a mapping in the file")
    return value or {}

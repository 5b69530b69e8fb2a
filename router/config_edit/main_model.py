"""The model that requests go to which name no other: an alias that leads there, and the default. Pure."""

from pydantic import JsonValue

from router.canonical.models import canonical_name
from router.config_edit import EditRefused
from router.config_edit.changes import Change, Document, Edit, above, mapping, put, section

ALIAS_COMMENT = "added by `turnout ollama set-main`"
DEFAULT_COMMENT = "where requests go that name no other model"
_DEFAULT = ("routing", "default_model")


def set_main(backend: str, model: str, *, alias: str | None = None) -> Change:
    """An alias that leads to the model first, and is the default.

    Without a name for it, an alias that leads there already is taken, else one that is called as the model.
    """

    def change(document: Document) -> Edit:
        if backend not in section(document, "backends"):
            raise EditRefused(f'there is no backend "{backend}" in the file')
        name = alias or _alias_for(document, backend, model)
        changed = put(document, ("models", name), _leading(document, name, f"{backend}/{model}"))
        comments = {**above(("models", name), ALIAS_COMMENT), **above(_DEFAULT, DEFAULT_COMMENT)}
        return Edit(put(changed, _DEFAULT, name), comments)

    return change


def default_model(document: Document) -> str | None:
    """Where a request goes that names nothing known."""
    found = section(document, "routing").get("default_model")
    return found if isinstance(found, str) else None


def replaced(before: Document, after: Document) -> list[str]:
    """What people rely on and would be another, each in a few words: the default, and where an alias leads first."""
    was, becomes = default_model(before), default_model(after)
    found = [f"routing.default_model is {was} now"] if was is not None and was != becomes else []
    aliases = section(after, "models")
    for name, settings in section(before, "models").items():
        first, new = (next(iter(_targets(each)), None) for each in (settings, aliases.get(name)))
        if first is not None and first != new:
            found.append(f"the alias {name} leads to {first} now")
    return found


def _alias_for(document: Document, backend: str, model: str) -> str:
    aliases = section(document, "models")
    leading = [name for name, settings in aliases.items() if _leads(settings, f"{backend}/{model}")]
    called = [name for name in aliases if canonical_name(name) == canonical_name(model)]
    best = (
        [name for name in leading if name == default_model(document)],
        [name for name in called if name in leading],
        leading,
        called,
        [model.removesuffix(":latest")],
    )
    return next(names[0] for names in best if names)


def _leading(document: Document, name: str, target: str) -> Document:
    """The alias, with the target first; as the file writes it, if it does."""
    known = mapping(section(document, "models").get(name), f'the alias "{name}"')
    targets = known.get("targets")
    given = targets if isinstance(targets, list) else []
    written = next((each for each in given if _is(each, target)), target)
    others = [each for each in given if not _is(each, target)]
    return known if given[:1] == [written] else {**known, "targets": [written, *others]}


def _leads(settings: JsonValue, target: str) -> bool:
    """Whether whoever is there first is always this one."""
    targets = _targets(settings)
    chooses = isinstance(settings, dict) and settings.get("strategy") == "score" and len(targets) > 1
    return bool(targets) and _is(targets[0], target) and not chooses


def _targets(settings: JsonValue) -> list[str]:
    targets = settings.get("targets") if isinstance(settings, dict) else None
    return [each for each in targets if isinstance(each, str)] if isinstance(targets, list) else []


def _is(written: JsonValue, target: str) -> bool:
    """Whether both are one model of one backend."""
    if not isinstance(written, str):
        return False
    (backend, _, model), (other, _, wanted) = written.partition("/"), target.partition("/")
    return backend == other and canonical_name(model) == canonical_name(wanted)

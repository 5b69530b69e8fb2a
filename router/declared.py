"""What the settings declare, for whoever explains or documents them."""

from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel, JsonValue

from router.settings import Settings
from router.settings.fields import Location


def declared_at(loc: Location) -> object:
    """The declared type of what is at `loc`; None where nothing is declared."""
    kind: object = Settings
    for part in loc:
        section = section_in(kind)
        if section:
            kind = section.model_fields[str(part)].annotation if part in section.model_fields else None
        else:
            kind = next((part for part in reversed(get_args(kind)) if part is not ...), None)
    return kind


def section_in(kind: object) -> type[BaseModel] | None:
    """The section that a type is, or may be."""
    if isinstance(kind, UnionType):
        return next(filter(None, map(section_in, get_args(kind))), None)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def plain(value: Any) -> JsonValue:
    """A settings value as JSON, secrets shown as stars."""
    return BaseModel.model_dump(value, mode="json") if isinstance(value, BaseModel) else value

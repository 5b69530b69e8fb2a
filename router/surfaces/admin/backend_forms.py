"""What people send to `/api/backends`."""

from typing import Annotated, cast

from pydantic import Field, JsonValue, SecretStr

from router.settings.backends import BackendKind, BackendSettings, Timeouts
from router.settings.fields import BackendName, Key, Section


class NewBackend(BackendSettings):
    """A model server, said as in the settings file, with a name."""

    name: Annotated[BackendName, Field(max_length=100)]


class BackendChange(Section):
    """What is said replaces what was, headers and timeouts as a whole; null takes it out. The rest stays."""

    type: BackendKind | None = None
    url: str | None = None
    api_key: Key | None = None
    enabled: bool | None = None
    max_parallel: int | None = None
    weight: float | None = None
    local: bool | None = None
    timeouts: Timeouts | None = None
    headers: dict[str, SecretStr] | None = None
    models: tuple[str, ...] | None = None
    embedding_batch: int | None = None
    stream: bool | None = None
    whole_only: tuple[str, ...] | None = None
    stream_only: tuple[str, ...] | None = None


class Selection(Section):
    """One of the backend's models."""

    model: Annotated[str, Field(min_length=1, max_length=200)]


def document(form: NewBackend | BackendChange) -> dict[str, JsonValue]:
    """What was said, secrets included."""
    said = cast("dict[str, JsonValue]", form.model_dump(mode="json", exclude_unset=True, exclude={"name"}))
    if form.api_key is not None:
        said["api_key"] = form.api_key.get_secret_value()
    if form.headers:
        said["headers"] = {name: value.get_secret_value() for name, value in form.headers.items()}
    return said

"""What every section of the settings is made of."""

import re
from ipaddress import ip_network
from typing import Annotated, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticKnownError

Location = tuple[str | int, ...]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
MIN_CALLER_KEY = 8
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_VISIBLE_ASCII = re.compile(r"[!-~]*")


def _fits_a_header(key: SecretStr) -> SecretStr:
    if not _VISIBLE_ASCII.fullmatch(key.get_secret_value()):
        raise ValueError("a key is visible ASCII: no space, no line break")
    return key


def _is_long_enough(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < MIN_CALLER_KEY:
        raise ValueError(f"an API key needs at least {MIN_CALLER_KEY} characters")
    return key


def _in_seconds(written: object) -> object:
    """`1.5s`, `500ms`, `15m` and `2h` as a number of seconds; anything else as it is."""
    told = _DURATION.fullmatch(written.strip()) if isinstance(written, str) else None
    return float(told[1]) * _UNITS[told[2]] if told else written


def _is_a_network(written: str) -> str:
    try:
        ip_network(written.strip())
    except ValueError:
        raise ValueError("an address or a network, such as 10.0.0.0/8") from None
    return written.strip()


Seconds = Annotated[float, BeforeValidator(_in_seconds, json_schema_input_type=float | str), Field(gt=0)]
PriorityName = Literal["interactive", "normal", "batch"]
ScopeName = Literal["chat", "embed", "admin"]
Cidr = Annotated[str, AfterValidator(_is_a_network)]
BackendName = Annotated[str, Field(pattern=NAME_PATTERN)]
Key = Annotated[SecretStr, AfterValidator(_fits_a_header)]
CallerKey = Annotated[Key, AfterValidator(_is_long_enough)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        wanted = cast("object", cls.model_fields[info.field_name or ""].annotation)
        if isinstance(value, bool) and wanted in {int, float, int | None}:
            raise PydanticKnownError("float_type" if wanted is float else "int_type")
        return value

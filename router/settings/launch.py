"""llama.cpp processes that the router runs itself."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from router.settings.fields import Seconds, Section

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]i?)?B?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def _in_bytes(written: object) -> object:
    """`24GiB`, `8000MB` as a number of bytes; anything else as it is."""
    told = _SIZE.fullmatch(written.strip()) if isinstance(written, str) else None
    if told is None:
        return written
    unit = (told[2] or "").lower()
    return int(float(told[1]) * (1024 if unit.endswith("i") else 1000) ** _POWERS[unit[:1]])


def _expanded(path: str) -> str:
    if not path:
        raise ValueError("must be a path")
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        raise ValueError("~ stands for a home directory, and there is none") from None


def _auto_is_none(written: object) -> object:
    return None if written == "auto" else written


Bytes = Annotated[int, BeforeValidator(_in_bytes, json_schema_input_type=int | str), Field(gt=0)]
AutoBytes = Annotated[Bytes | None, BeforeValidator(_auto_is_none, json_schema_input_type=int | str | None)]
FilePath = Annotated[str, AfterValidator(_expanded)]


class LoraSettings(Section):
    """A LoRA adapter."""

    path: FilePath = Field(description="Its GGUF file.")
    scale: float = Field(default=1.0, description="How strongly it counts.")


class LaunchSettings(Section):
    """A llama.cpp server that the router starts, stops and watches."""

    model: FilePath = Field(description="The GGUF file, of a split one the first. `~` is your home directory.")
    command: str | None = Field(
        default=None,
        min_length=1,
        description="llama-server, by name or path. Default: `llama-server` on the PATH, else the llama.cpp of the "
        "extra `demo`.",
    )
    mmproj: FilePath | None = Field(default=None, description="The GGUF file with which the model sees images.")
    lora: tuple[LoraSettings, ...] = Field(default=(), description="LoRA adapters.")
    context_length: int | None = Field(
        default=None,
        ge=1,
        description="Tokens that one request may use. Default: what the model was trained for, shared by all of them.",
    )
    parallel: int = Field(default=1, ge=1, description="Requests at once; each has the whole `context_length`.")
    args: tuple[str, ...] = Field(default=(), description="Further arguments, as llama-server takes them.")
    when: Literal["always", "on_demand"] = Field(
        default="on_demand", description="`always`: from the start on; `on_demand`: when a request needs it."
    )
    idle_unload: Seconds | None = Field(
        default=None, description="Stops it after so long without a request. Default: only when others need its memory."
    )
    memory: AutoBytes = Field(
        default=None, description="Bytes that it needs, such as `6GiB`. `auto`, the default: as its last load showed."
    )

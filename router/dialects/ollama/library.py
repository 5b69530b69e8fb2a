"""How Ollama's clients are told of models."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Raw, Struct

from router.canonical.models import ModelInfo
from router.dialects.openai_body import decode_fields, decode_typed
from router.errors import BadRequest, InvalidParameter

VERSION = "0.33.0"
"""The version of Ollama's API that clients are told: some ask for a lowest one."""
_NAMES = {"chat": "completion"}
_UNTOLD = ("completion", "tools")
"""What a model is taken to do whose backend does not say."""


class Entry(Struct, frozen=True, kw_only=True):
    """A model for clients: `name` is theirs for it, `family` what it comes from.

    `modified_at` and `expires_at` are RFC 3339.
    """

    name: str
    info: ModelInfo
    family: str = ""
    modified_at: str = ""
    expires_at: str = ""


class _Named(Struct):
    model: str | None = None
    name: str | None = None
    verbose: bool | None = None


_NAMED = msgspec.json.Decoder(_Named)


def parse_name(body: bytes) -> tuple[str, bool]:
    """The model that a request is about, and whether all is wanted; raises InvalidJSON or InvalidParameter."""
    if not body.strip():
        raise BadRequest("missing request body")
    decode_fields(body)
    asked = decode_typed(_NAMED, body)
    if not (name := asked.model or asked.name):
        raise InvalidParameter("model is required", param="model")
    return name, bool(asked.verbose)


def tagged(name: str) -> str:
    """A name as Ollama writes it, which always has a tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def render_tags(entries: Sequence[Entry]) -> bytes:
    """The body of `/api/tags`, the newest first."""
    newest = sorted(entries, key=lambda entry: entry.info.created, reverse=True)
    models = [
        {**_common(entry), "modified_at": entry.modified_at, "capabilities": _capabilities(entry)} for entry in newest
    ]
    return msgspec.json.encode({"models": models})


def render_loaded(entries: Sequence[Entry]) -> bytes:
    """The body of `/api/ps`, the one that stays longest first."""
    models = [
        {
            **_common(entry),
            "expires_at": entry.expires_at,
            "size_vram": entry.info.vram or 0,
            **({"context_length": entry.info.context_length} if entry.info.context_length else {}),
        }
        for entry in sorted(entries, key=lambda entry: entry.expires_at, reverse=True)
    ]
    return msgspec.json.encode({"models": models})


def render_shown(entry: Entry, *, window: int | None) -> bytes:
    """The body of `/api/show` for a model whose backend does not say it itself; `window` is what requests may use."""
    length = entry.info.trained_length or window
    family = entry.family or "unknown"
    info: dict[str, Any] = {"general.architecture": family, "general.basename": entry.name.partition(":")[0]}
    if length:
        info[f"{family}.context_length"] = length
    return msgspec.json.encode(
        {
            "modelfile": f"FROM {entry.name}\n",
            "parameters": f"{'num_ctx':<30} {window}" if window else "",
            "template": "",
            "details": _details(entry),
            "model_info": info,
            "capabilities": _capabilities(entry),
            "modified_at": entry.modified_at,
        }
    )


def render_version() -> bytes:
    """The body of `/api/version`."""
    return msgspec.json.encode({"version": VERSION})


def is_shown(body: bytes) -> bool:
    """Whether this is what an Ollama server says of a model."""
    try:
        return "model_info" in msgspec.json.decode(body, type=dict[str, Raw])
    except msgspec.DecodeError:
        return False


def _common(entry: Entry) -> dict[str, Any]:
    """`digest` is made of the name, of what it stands for, and of what that can do: clients remember that by it."""
    name = tagged(entry.name)
    digest = sha256("\n".join((name, entry.info.name, *_capabilities(entry))).encode("utf-8", "replace")).hexdigest()
    return {"name": name, "model": name, "size": entry.info.size or 0, "digest": digest, "details": _details(entry)}


def _details(entry: Entry) -> dict[str, Any]:
    details: dict[str, Any] = {
        "parent_model": "",
        "format": "",
        "family": entry.family,
        "families": [entry.family] if entry.family else None,
        "parameter_size": "",
        "quantization_level": "",
    }
    if entry.info.context_length:
        details["context_length"] = entry.info.context_length
    return details


def _capabilities(entry: Entry) -> list[str]:
    known = entry.info.capabilities
    return list(_UNTOLD) if known is None else sorted(_NAMES.get(name, name) for name in known)

"""Ollama's endpoints about models: listed, loaded, shown, pulled, copied, deleted."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

from tests.fakes.answer import Answer, go_whole, ndjson, text
from tests.fakes.ask import Ask
from tests.fakes.ollama_checks import known_model, native_fields
from tests.fakes.persona import FakeModel, Persona, full_name
from tests.fakes.refusal import Refusal

VERSION = "0.33.0"
_MODIFIED = "2026-08-21T10:11:12.123456789+02:00"
_EXPIRES = "2318-12-02T03:04:05.678901234+01:00"
_EMPTY = text("")


def running(persona: Persona, ask: Ask) -> Answer:
    return text("Ollama is running")


def version(persona: Persona, ask: Ask) -> Answer:
    return go_whole({"version": VERSION})


def tags(persona: Persona, ask: Ask) -> Answer:
    return go_whole({"models": [_listed(model) for model in persona.models]})


def loaded(persona: Persona, ask: Ask) -> Answer:
    return go_whole({"models": [_resident(model) for model in persona.models if model.loaded]})


def show(persona: Persona, ask: Ask) -> Answer:
    fields = native_fields(ask)
    name = fields.get("model") or fields.get("name")
    if isinstance(name, str) and name and persona.find(name) is None:
        raise Refusal(404, f"model '{full_name(name)}' not found")
    model = known_model(persona, name)
    info: dict[str, Any] = {
        "general.architecture": model.family,
        "general.basename": model.family,
        "general.parameter_count": 3_212_749_888,
        f"{model.family}.context_length": model.context_length,
        f"{model.family}.embedding_length": model.embedding_length,
    }
    shown = {
        "parameters": f"{'num_ctx':<30} {model.context_length}",
        "template": "{{ .Prompt }}",
        "details": _details(model),
        "model_info": info,
        "capabilities": list(model.capabilities),
        "modified_at": _MODIFIED,
    }
    return go_whole(shown)


def pull(persona: Persona, ask: Ask) -> Answer:
    """A name with "missing" in it is not in the registry; any other name is there at once."""
    fields = native_fields(ask)
    name = fields.get("model") or fields.get("name")
    if not isinstance(name, str) or not name:
        raise Refusal(400, "invalid model name")
    streams = fields.get("stream") is not False and not ask.whole
    if "missing" in name:
        error = "pull model manifest: file does not exist"
        if not streams:
            raise Refusal(500, error)
        return ndjson([{"status": "pulling manifest"}, {"error": error}])
    model = persona.find(name) or FakeModel(full_name(name))
    if model not in persona.models:
        persona.models.append(model)
    if not streams:
        return go_whole({"status": "success"})
    return ndjson(_pull_lines(model), ending=1)


def delete(persona: Persona, ask: Ask) -> Answer:
    fields = native_fields(ask)
    persona.models.remove(known_model(persona, fields.get("model") or fields.get("name")))
    return _EMPTY


def copy(persona: Persona, ask: Ask) -> Answer:
    fields = native_fields(ask)
    for key in ("source", "destination"):
        if not fields.get(key):
            raise Refusal(400, f'{key} "" is invalid')
    source = known_model(persona, fields["source"], quote='"')
    persona.models.append(replace(source, name=full_name(fields["destination"])))
    return _EMPTY


def create(persona: Persona, ask: Ask) -> Answer:
    """Out of a model that is there, or of files whose blobs are."""
    fields = native_fields(ask)
    files = fields.get("files") or {}
    if not fields.get("from") and not files:
        raise Refusal(400, "neither 'from' or 'files' was specified")
    if not all(digest in persona.blobs for digest in files.values()):
        raise Refusal(400, "blob not found")
    persona.models.append(FakeModel(full_name(fields["model"])))
    return ndjson([{"status": "writing manifest"}, {"status": "success"}], ending=1)


def has_blob(persona: Persona, ask: Ask) -> Answer:
    return text("", status=200 if _digest(ask) in persona.blobs else 404)


def take_blob(persona: Persona, ask: Ask) -> Answer:
    wanted, got = _digest(ask), f"sha256:{sha256(ask.raw).hexdigest()}"
    if got != wanted:
        raise Refusal(400, f'digest mismatch, expected "{wanted}", got "{got}"')
    persona.blobs[wanted] = ask.raw
    return text("", status=201)


def _digest(ask: Ask) -> str:
    return ask.path.removeprefix("/api/blobs/")


def _listed(model: FakeModel) -> dict[str, Any]:
    sizes = {"context_length": model.context_length, "embedding_length": model.embedding_length}
    details = {**_details(model), **sizes}
    return {**_named(model), "modified_at": _MODIFIED, "details": details, "capabilities": list(model.capabilities)}


def _resident(model: FakeModel) -> dict[str, Any]:
    room = {"size_vram": model.size, "context_length": model.context_length}
    return {**_named(model), "details": _details(model), "expires_at": _EXPIRES, **room}


def _named(model: FakeModel) -> dict[str, Any]:
    return {"name": model.name, "model": model.name, "size": model.size, "digest": model.digest}


def _details(model: FakeModel) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": model.family,
        "families": [model.family],
        "parameter_size": "3.2B",
        "quantization_level": "Q4_K_M",
    }


def _pull_lines(model: FakeModel) -> list[dict[str, Any]]:
    layer = {"status": f"pulling {model.digest[:12]}", "digest": f"sha256:{model.digest}", "total": model.size}
    return [
        {"status": "pulling manifest"},
        layer,
        {**layer, "completed": model.size // 2},
        {**layer, "completed": model.size},
        {"status": "verifying sha256 digest"},
        {"status": "writing manifest"},
        {"status": "success"},
    ]

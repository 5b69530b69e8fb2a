"""What the routers of a bench run are configured with. JSON, which is YAML too."""

from collections.abc import Iterable, Mapping
from pathlib import Path as File

import msgspec

from bench.answers import MODEL
from bench.client import HOST
from bench.paths import OPENAI, Path
from bench.wire import API_KEY

SOUND = "sound"
REFUSES = "refuses"
FAULTS = ("500", "hang", "mute", "stall")
FIRST_TOKEN_S = 0.3
IDLE_S = 0.3
NEVER_S = 86_400
TOGETHER = 1_000
"""More than any work sends at once: the floor has no queue, and a kind's own limit would measure one."""


def works(directory: File, *, port: int, backend: int, paths: Iterable[Path]) -> File:
    """One backend and one alias for each path."""
    backends = {path.backend: _backend(path, backend) for path in paths}
    aliases = {path.alias: {"targets": [f"{path.backend}/{MODEL}"]} for path in paths}
    return _written(directory, port, {"backends": backends, "models": aliases})


def failover(directory: File, *, port: int, backend: int, gone: int, tries: int) -> File:
    """For each fault and each try a backend of its own, and an alias `FAULT-NUMBER` that has a sound one behind it."""
    sound = _backend(OPENAI, backend)
    backends: dict[str, object] = {SOUND: sound}
    aliases: dict[str, object] = {SOUND: {"targets": [f"{SOUND}/{MODEL}"]}}
    for fault in (REFUSES, *FAULTS):
        url = f"http://{HOST}:{gone}/v1" if fault == REFUSES else f"http://{HOST}:{backend}/fault/{fault}/v1"
        for number in range(tries):
            name = f"{fault}-{number}"
            backends[name] = {**sound, "url": url, "timeouts": {"first_token": FIRST_TOKEN_S, "idle": IDLE_S}}
            aliases[name] = {"targets": [f"{name}/{MODEL}", f"{SOUND}/{MODEL}"]}
    return _written(directory, port, {"backends": backends, "models": aliases, "health": {"interval_s": NEVER_S}})


def from_template(template: File, directory: File, fields: Mapping[str, str]) -> File:
    """A peer's own settings file with `{port}`, `{backend}` and `{key}` filled in; other braces are left alone."""
    text = template.read_text(encoding="utf-8")
    for name, value in fields.items():
        text = text.replace("{" + name + "}", value)
    written = directory / f"peer{template.suffix}"
    written.write_text(text, encoding="utf-8")
    return written


def _backend(path: Path, port: int) -> dict[str, object]:
    backend: dict[str, object] = {
        "type": path.kind,
        "url": f"http://{HOST}:{port}{path.root}",
        "max_parallel": TOGETHER,
    }
    if path is OPENAI:
        backend["models"] = [MODEL]
    if path.kind == "claude":
        backend["api_key"] = "bench-claude-key"
    return backend


def _written(directory: File, port: int, settings: Mapping[str, object]) -> File:
    path = directory / f"turnout-{port}.yaml"
    common = {
        "server": {"host": HOST, "port": port, "log_requests": False, "data_dir": None},
        "auth": {"api_keys": [API_KEY]},
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode({**common, **settings})))
    return path

"""How a backend's process is started: command, arguments, environment, and what is known of its model beforehand."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from math import inf
from pathlib import Path

from router.canonical.models import ModelInfo
from router.processes import gguf
from router.processes.steps import Terms
from router.settings import Settings
from router.settings.backends import BackendSettings
from router.settings.checks import Conflict
from router.settings.fields import Location
from router.settings.launch import LaunchSettings

USUAL_COMMAND = "llama-server"
BUNDLED = Path(__file__).with_name("bundled.py")
OVERHEAD_BYTES = 128 * 1024 * 1024
_UNSAYABLE = frozenset(",:")
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_KEPT = {"HF_TOKEN"}
_USUAL = {
    "LLAMA_ARG_LOG_VERBOSITY": "4",  # buffer sizes are logged from here on, prompts are not
    "LLAMA_ARG_UI": "0",
    "LLAMA_ARG_ENDPOINT_METRICS": "1",
}
"""Variables rather than flags: a llama-server that is older than one of them does not mind."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One process that may be started. `memory` is what the settings say that it needs, in bytes; None to learn it."""

    name: str
    settings: LaunchSettings
    terms: Terms
    api_key: str = field(repr=False)

    @property
    def model(self) -> str:
        """What it calls its model; a comma would make two names of it."""
        return gguf.name_of(Path(self.settings.model)).replace(",", "_")

    @property
    def memory(self) -> int | None:
        return self.settings.memory

    def command(self, port: int) -> list[str]:
        """What is run, and that it listens on this port of this machine only. Raises OSError if there is no such."""
        return [*_program(self.settings.command), *self._arguments(), "--host", "127.0.0.1", "--port", str(port)]

    def _arguments(self) -> list[str]:
        given = self.settings
        words = ["--model", given.model, "--alias", self.model, "--parallel", str(given.parallel)]
        if given.context_length is not None:
            words += ["--ctx-size", str(given.context_length * given.parallel)]
        if given.mmproj is not None:
            words += ["--mmproj", given.mmproj]
        if given.lora:
            words += ["--lora-scaled", ",".join(f"{lora.path}:{lora.scale:g}" for lora in given.lora)]
        return [*words, *given.args]

    def environment(self, environ: Mapping[str, str], **more: str) -> dict[str, str]:
        """That of the router without its secrets; the key keeps other users of this machine away from the port."""
        kept = {
            name: value
            for name, value in environ.items()
            if name in _KEPT or not any(word in name.upper() for word in _SECRET)
        }
        return {**_USUAL, **kept, "LLAMA_API_KEY": self.api_key, **more}

    @property
    def process(self) -> str:
        """The same as long as it is started in the same way."""
        words = [self.settings.command or "", *self._arguments()]
        return sha256("\0".join(words).encode()).hexdigest()[:24]

    @property
    def mark(self) -> str:
        """The same as long as everything is that its memory depends on."""
        words = [self.settings.command or "", *self._arguments()]
        words += [str(file.stat().st_size) if file.exists() else "" for file in self.files]
        return sha256("\0".join(words).encode()).hexdigest()[:24]

    @property
    def files(self) -> list[Path]:
        """What it reads."""
        given = self.settings
        more = [given.mmproj] if given.mmproj else []
        return [Path(path) for path in (given.model, *more, *(lora.path for lora in given.lora))]

    @property
    def folders(self) -> list[str]:
        """Where those files are, with a slash at the end."""
        return sorted({f"{file.parent}/" for file in self.files})

    def head(self) -> gguf.Model:
        """What its model's file says; nothing, if that cannot be read."""
        try:
            return gguf.read(Path(self.settings.model))
        except (OSError, gguf.NotGGUF):
            return gguf.Model()

    def guess(self, head: gguf.Model) -> int:
        """The memory that it should need, in bytes: its files, its context, and some room to work."""
        more = sum(file.stat().st_size for file in self.files[1:] if file.exists())
        tokens = (self.settings.context_length or 0) * self.settings.parallel or head.context_length or 0
        return head.size + more + tokens * head.kv_bytes + OVERHEAD_BYTES

    def info(self, head: gguf.Model) -> ModelInfo:
        """The model as it would be served, while nothing runs that could be asked."""
        can = {"chat": True, "vision": self.settings.mmproj is not None, "tools": "tools" in head.chat_template}
        shared = head.context_length and head.context_length // self.settings.parallel
        return ModelInfo(
            name=self.model,
            capabilities=frozenset(name for name, is_so in can.items() if is_so),
            untold=frozenset({"embedding", "thinking"}),
            context_length=self.settings.context_length or shared,
            trained_length=head.context_length,
            size=head.size or None,
            loaded=False,
            owned_by="llamacpp",
        )


def _program(command: str | None) -> Sequence[str]:
    """Raises OSError where nothing of that name can be run."""
    found = shutil.which(str(Path(command or USUAL_COMMAND).expanduser()))
    if found is not None:
        return [found]
    if command is None and find_spec("xllamacpp") is not None:
        return [sys.executable, "-P", str(BUNDLED)]
    raise FileNotFoundError(f"there is no {command or USUAL_COMMAND}")


def launch_of(name: str, backend: BackendSettings, *, group: str, api_key: str) -> Launch:
    """What a backend with `launch` wants to be run; `api_key` is what its adapter will send."""
    launch = backend.launch
    assert launch is not None
    terms = Terms(
        group,
        always=launch.when == "always",
        idle_unload_s=launch.idle_unload or inf,
        load_s=backend.timeouts.load,
    )
    return Launch(name, launch, terms, api_key)


def launches_of(settings: Settings, keys: Mapping[str, str]) -> dict[str, Launch]:
    """What the settings want to be run, by backend; `keys` are what the adapters will send."""
    groups = {member: name for name, group in settings.groups.items() for member in group.members}
    return {
        name: launch_of(name, backend, group=groups.get(name, name), api_key=keys[name])
        for name, backend in settings.backends.items()
        if backend.enabled and backend.launch is not None
    }


def unusable(settings: Settings) -> Iterator[Conflict]:
    """Commands and files of the settings that are not there."""
    for name, backend in settings.backends.items():
        if backend.launch is not None and backend.enabled:
            yield from unusable_in(backend.launch, ("backends", name, "launch"))


def unusable_in(launch: LaunchSettings, place: Location) -> Iterator[Conflict]:
    """The command and files of one launch that are not there."""
    try:
        _program(launch.command)
    except OSError:
        hint = "install llama.cpp, or the extra `demo`" if launch.command is None else None
        wanted = launch.command or USUAL_COMMAND
        yield Conflict((*place, "command"), f'"{wanted}" is no program that can be run', hint)
    named: list[tuple[Location, str]] = [((*place, "model"), launch.model)]
    if launch.mmproj is not None:
        named.append(((*place, "mmproj"), launch.mmproj))
    named += [((*place, "lora", number, "path"), lora.path) for number, lora in enumerate(launch.lora)]
    for number, lora in enumerate(launch.lora):
        if not _UNSAYABLE.isdisjoint(lora.path):
            yield Conflict((*place, "lora", number, "path"), "llama-server takes no path with a comma or colon here")
    for loc, path in named:
        try:
            gguf.read_fields(Path(path))
        except gguf.NotGGUF as problem:
            yield Conflict(loc, f'"{path}" {problem}')
        except OSError as problem:
            yield Conflict(loc, f'"{path}" cannot be read: {(problem.strerror or "unknown reason").lower()}')

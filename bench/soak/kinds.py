"""The kinds of backend that the soak runs over, and the router's settings. A further one is a further entry."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.client import HOST
from bench.wire import API_KEY

CHAT = "soak-chat"
EMBED = "soak-embed"
ANY = "any"
EMBED_ANY = "embed-any"
TIMES = {"connect": 1, "first_token": 1.0, "idle": 0.5, "total": 5}
KEEPALIVE_S = 0.3
LOOKS_S = 2.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of backend; `embeds` is whether it makes embeddings."""

    name: str
    embeds: bool = True
    settings: Mapping[str, object] | None = None


KINDS = (
    Kind("ollama"),
    Kind("llama_cpp", settings={"max_parallel": 24}),
    Kind("openai", settings={"embedding_batch": 2}),
    Kind("claude", embeds=False, settings={"api_key": "soak-claude-key"}),
)


def models(kind: Kind) -> tuple[str, ...]:
    """What the fake of this kind is started with, as on its command line."""
    chat = f"{CHAT}=completion,tools"
    if kind.name == "llama_cpp":
        return (f"{chat},embedding",)
    return (chat, f"{EMBED}=embedding") if kind.embeds else (chat,)


def settings(directory: Path, *, port: int, urls: Mapping[str, str]) -> Path:
    """Each backend alone, and all of them in line behind `any` and `embed-any`; short deadlines."""
    kinds = [kind for kind in KINDS if kind.name in urls]
    backends = {
        kind.name: {"type": kind.name, "url": urls[kind.name], "timeouts": TIMES, **(kind.settings or {})}
        for kind in kinds
    }
    chats = [f"{kind.name}/{CHAT}" for kind in kinds]
    embeds = [f"{kind.name}/{CHAT if kind.name == 'llama_cpp' else EMBED}" for kind in kinds if kind.embeds]
    aliases = {f"chat-{number}": {"targets": chats[number:] + chats[:number]} for number in range(len(chats))}
    written = {
        "server": {"host": HOST, "port": port, "keepalive_s": KEEPALIVE_S, "data_dir": None},
        "auth": {"api_keys": [API_KEY]},
        "backends": backends,
        "models": {ANY: {"targets": chats}, EMBED_ANY: {"targets": embeds}, **aliases},
        "health": {"interval_s": LOOKS_S, "timeout_s": LOOKS_S / 2},
    }
    path = directory / "soak.yaml"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(written)))
    return path


def chat_models(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """What chat clients ask for."""
    return (ANY, *(f"{kind}/{CHAT}" for kind in kinds), *(f"chat-{number}" for number in range(len(kinds))))


def embed_models(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """What embedding clients ask for."""
    able = [kind.name for kind in KINDS if kind.embeds and kind.name in kinds]
    return (EMBED_ANY, *(f"{kind}/{CHAT if kind == 'llama_cpp' else EMBED}" for kind in able))

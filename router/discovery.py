"""Looking for model servers on this machine when nobody named any."""

from collections.abc import Container, Iterable, Mapping
from urllib.parse import urlsplit

from router.settings import Settings
from router.settings.address import is_served_here
from router.settings.backends import BackendSettings
from router.settings.models import AliasSettings

OLLAMA_PORT = 11434
CLAUDE_KEY = "ANTHROPIC_API_KEY"

USUAL_PLACES: Mapping[str, tuple[str, int]] = {
    "llama_cpp": ("llama_cpp", 8080),
    "lm_studio": ("openai", 1234),
    "vllm": ("openai", 8000),
}
"""Backend name to its type and the port where such a server listens by default."""


def places(environ: Mapping[str, str], *, own_ports: Container[int]) -> dict[str, BackendSettings]:
    """Where model servers usually are on this machine, the router's own ports left out; Claude if there is a key."""
    found: dict[str, BackendSettings] = {}
    url = ollama_url(environ)
    if not is_served_here(url, own_ports):
        found["ollama"] = BackendSettings.model_validate({"type": "ollama", "url": url})
    for name, (kind, port) in USUAL_PLACES.items():
        if port not in own_ports:
            found[name] = BackendSettings.model_validate({"type": kind, "url": f"http://127.0.0.1:{port}"})
    if key := environ.get(CLAUDE_KEY, "").strip():
        found["claude"] = BackendSettings.model_validate({"type": "claude", "api_key": key})
    return found


def guessed(around: Mapping[str, BackendSettings]) -> frozenset[str]:
    """Those of the places where nobody may be at all; whoever gave a key for Claude knows that it is there."""
    return frozenset(name for name, backend in around.items() if backend.type != "claude")


def ollama_url(environ: Mapping[str, str]) -> str:
    """Where `OLLAMA_HOST` says that Ollama is; it may lack scheme and port, and name an address to listen on."""
    given = environ.get("OLLAMA_HOST", "").strip().rstrip("/")
    parts = urlsplit(given if "://" in given else f"http://{given}")
    host = parts.hostname or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (translated away, not bound)
    try:
        port = parts.port
    except ValueError:
        port = None
    if port is None:
        port = 443 if parts.scheme == "https" else OLLAMA_PORT
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def with_backends(settings: Settings, backends: Mapping[str, BackendSettings]) -> Settings:
    """The same settings with further backends."""
    return settings.model_copy(update={"backends": {**settings.backends, **backends}})


def with_embedded(settings: Settings, servers: Iterable[tuple[str, str]]) -> Settings:
    """The same settings with the embedded servers, given as name and URL: the first chats, the second embeds."""
    chat, embed = servers
    backends = {name: BackendSettings.model_validate({"type": "llama_cpp", "url": url}) for name, url in (chat, embed)}
    aliases = {
        "embed": AliasSettings(targets=(f"{embed[0]}/{embed[0]}",), tags=("embedding",)),
    }
    routing = settings.routing
    if routing.default_model is None:
        routing = routing.model_copy(update={"default_model": f"{chat[0]}/{chat[0]}"})
    update = {"models": {**aliases, **settings.models}, "routing": routing}
    return with_backends(settings, backends).model_copy(update=update)

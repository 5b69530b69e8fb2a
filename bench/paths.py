"""The ways through the router: which backend answers, in which format. A further one is a further entry."""

from msgspec import Struct


class Path(Struct, frozen=True):
    """One kind of backend; `chat` and `embed` are its own endpoints, `ending` is how its own streams end."""

    name: str
    backend: str
    kind: str
    chat: str
    ending: bytes
    root: str = ""
    embed: str = ""

    @property
    def alias(self) -> str:
        """What clients of the router ask for."""
        return f"bench-{self.kind}"


OPENAI = Path(
    name="pass-through",
    backend="fast",
    kind="openai",
    chat="/v1/chat/completions",
    ending=b"data: [DONE]",
    root="/v1",
    embed="/v1/embeddings",
)
OLLAMA = Path(
    name="ollama",
    backend="local",
    kind="ollama",
    chat="/api/chat",
    ending=b'"done":true',
    embed="/api/embed",
)
CLAUDE = Path(
    name="claude",
    backend="cloud",
    kind="claude",
    chat="/v1/messages",
    ending=b"event: message_stop",
)
PATHS = (OPENAI, OLLAMA, CLAUDE)

"""Which server the fake pretends to be, and which models it claims to have."""

import hashlib
import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tests.fakes.journal import Journal
from tests.fakes.vocabulary import Vocabulary

Flavour = Literal["ollama", "openai", "llama_cpp", "claude"]

_OLLAMA_PREFIXES = ("registry.ollama.ai/", "library/")


@dataclass(frozen=True, slots=True)
class FakeModel:
    """`capabilities` are Ollama's words: completion, tools, vision, thinking, embedding, insert."""

    name: str
    capabilities: Sequence[str] = ("completion",)
    size: int = 2_019_393_189
    loaded: bool = True
    context_length: int = 4096
    embedding_length: int = 4
    edition: str = ""

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.name}{self.edition}".encode()).hexdigest()

    @property
    def family(self) -> str:
        return self.name.rpartition("/")[2].partition(":")[0].partition(".")[0].rstrip("0123456789")


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that is called, and with what; `name` may be the end of its name."""

    name: str
    arguments: Mapping[str, Any]


DEFAULT_MODELS: dict[Flavour, tuple[FakeModel, ...]] = {
    "ollama": (
        FakeModel("llama3.2:latest", ("completion", "tools")),
        FakeModel("nomic-embed-text:latest", ("embedding",), 274_302_450),
    ),
    "openai": (FakeModel("fake-chat", ("completion", "tools")), FakeModel("fake-embed", ("embedding",))),
    "llama_cpp": (FakeModel("smollm2", ("completion", "tools", "embedding"), 96_576_768),),
    "claude": (
        FakeModel("claude-sonnet-5", ("completion", "tools", "vision", "thinking"), context_length=1_000_000),
        FakeModel("claude-opus-5-5", ("completion", "tools", "vision", "thinking"), context_length=1_000_000),
    ),
}


class Persona:
    """The settings a test may change between two requests."""

    def __init__(
        self,
        models: Sequence[FakeModel] | None = None,
        *,
        flavour: Flavour = "ollama",
        reply: str = "Hello from the fake.",
        thinking: str | None = None,
        slots: int = 4,
    ) -> None:
        self.models = list(DEFAULT_MODELS[flavour] if models is None else models)
        self.flavour: Flavour = flavour
        self.reply = reply
        self.thinking = thinking
        self.slots = slots
        self.usage_on_finish_chunk = False
        self.send_done = True
        self.key: str | None = None
        """With a key, claude answers nobody who does not send it."""
        self.too_old_to_count = False
        self.uses: ToolUse | None = None
        """Called wherever it is offered until its result comes, whatever the question."""
        self.counts = True
        self.load_s: float | None = None
        """With a number, ollama keeps one model loaded: another one takes so long first, and is noted in `loads`."""
        self.loads: list[str] = []
        self.several = False
        """llama.cpp was started without a model: it has many, and loads them when it is asked to."""
        self.coming: set[str] = set()
        """Those of them that are being loaded: the next look finds them so, the one after that loaded."""
        self.blobs: dict[str, bytes] = {}
        self.journal = Journal()
        self.vocabulary = Vocabulary()
        self._rng = random.Random(0)

    def find(self, name: str) -> FakeModel | None:
        """Ollama completes and folds names; llama.cpp serves its one model whatever is asked."""
        if self.flavour == "llama_cpp":
            return self.models[0] if self.models else None
        if self.flavour in ("openai", "claude"):
            return next((m for m in self.models if m.name == name), None)
        wanted = full_name(name)
        return next((m for m in self.models if full_name(m.name) == wanted), None)

    def load(self, name: str) -> None:
        """This model is in memory now, and no other."""
        wanted = self.find(name)
        self.models = [replace(model, loaded=model is wanted) for model in self.models]
        self.loads.append(name)

    def token(self, length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
        """Random-looking and the same in each run."""
        return "".join(self._rng.choices(alphabet, k=length))

    def reset_tokens(self) -> None:
        self._rng = random.Random(0)


def full_name(name: str) -> str:
    """Ollama's comparison form: lower case, default registry and namespace dropped, tag added."""
    name = name.lower()
    for prefix in _OLLAMA_PREFIXES:
        name = name.removeprefix(prefix)
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"

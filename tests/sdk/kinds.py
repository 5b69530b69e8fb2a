"""The kinds of backend that the SDKs are tried over. A new kind is one line here."""

from dataclasses import dataclass, replace

from tests.fakes import FakeModel
from tests.fakes.persona import Flavour

ABLE = ("completion", "tools", "vision", "thinking", "insert")


@dataclass(frozen=True, slots=True)
class Kind:
    """`chat` can do all that a chat model of this kind can; without `embedding`, `chat` is asked and must refuse.

    `is_real` is a llama.cpp with a model in it, which nobody can script; all others are fakes.
    """

    name: str
    title: str
    flavour: Flavour
    chat: str = "able"
    embedding: str | None = "embedder"
    is_real: bool = False

    def models(self, context: int | None = None) -> list[FakeModel]:
        """What the fake has; `context` is tokens of the chat model's window."""
        embedding = [FakeModel(self.embedding, ("embedding",))] if self.embedding else []
        chat = FakeModel(self.chat, ABLE)
        return [replace(chat, context_length=context or chat.context_length), *embedding]


FAKES = (
    Kind("ollama", "Ollama", "ollama"),
    Kind("llama_cpp", "llama.cpp", "llama_cpp"),
    Kind("openai", "OpenAI-compatible", "openai"),
    Kind("claude", "Claude", "claude", chat="claude-sonnet-5", embedding=None),
)
"""The columns of the conformance table."""

REAL = Kind("real", "llama.cpp", "llama_cpp", chat="smollm2", embedding="smollm2-embed", is_real=True)

EVERY = (*FAKES, REAL)

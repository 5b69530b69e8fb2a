"""A fake backend that speaks Ollama, OpenAI, llama.cpp and Claude, and misbehaves on demand."""

from tests.fakes.backend import FakeBackend
from tests.fakes.faults import Faults
from tests.fakes.journal import Recorded
from tests.fakes.persona import FakeModel, Flavour, ToolUse
from tests.fakes.process import FakeProcess
from tests.fakes.registry import Registry
from tests.fakes.scripts import Scripted

__all__ = [
    "FakeBackend",
    "FakeModel",
    "FakeProcess",
    "Faults",
    "Flavour",
    "Recorded",
    "Registry",
    "Scripted",
    "ToolUse",
]

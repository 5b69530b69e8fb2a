"""The command `llm`, by OpenAI's API and by its plugin for Ollama."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.clients.client import Program
from tests.clients.kits import PYTHON
from tests.fakes import ToolUse

VERSION = PYTHON.pinned("llm")
MORE: Mapping[str, Sequence[str]] = {"chat": ("--no-stream",), "tools": ("-T", "llm_version")}
ABOUT: Mapping[str, Any] = {"kit": PYTHON, "more": MORE, "uses": ToolUse("llm_version", {}), "proof": VERSION}

CLIENTS = [
    Program(name="llm", package="llm", everywhere=("chat", "tools"), **ABOUT),
    Program(name="llm-ollama", package="llm-ollama", tries_again=False, everywhere=("stream", "broken"), **ABOUT),
]

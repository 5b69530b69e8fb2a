"""Instructor."""

from tests.clients.client import Library
from tests.clients.kits import OPENAI_3

CLIENT = Library(
    name="instructor",
    kit=OPENAI_3,
    package="instructor",
    tier=2,
    driver="drivers/instructor.py",
    answers_by="Greeting",
    cannot={
        "real": "the tiny model's template has no tools",
        "tools": "makes every answer a tool call, and sends no result",
        "broken": "Ollama sends a tool call whole, which leaves no middle to break in",
    },
)

"""Instructor, which makes every answer a tool call and reads it as a model of pydantic."""

from collections.abc import Iterator
from typing import Any


def ask(made: Any, prompt: str) -> str:
    return made.client.chat.completions.create(**_asked(made, prompt)).text


def stream(made: Any, prompt: str) -> Iterator[str]:
    said = ""
    for part in made.client.chat.completions.create_partial(**_asked(made, prompt)):
        text = part.text or ""
        yield text.removeprefix(said)
        said = text


def _asked(made: Any, prompt: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}]
    return {"model": made.MODEL, "messages": messages, "response_model": made.Greeting}

"""Instructor, which makes every answer a tool call and reads it as a model of pydantic."""

from collections.abc import Iterator
from typing import Any

import instructor
from pydantic import BaseModel


class Boats(BaseModel):
    text: str


def ask(made: Any, prompt: str) -> str:
    return made.client.chat.completions.create(model=made.MODEL, messages=_user(prompt), response_model=Boats).text


def stream(made: Any, prompt: str) -> Iterator[str]:
    said = ""
    asked = {"model": made.MODEL, "messages": _user(prompt), "response_model": instructor.Partial[Boats]}
    for part in made.client.chat.completions.create(**asked, stream=True):
        text = part.text or ""
        yield text.removeprefix(said)
        said = text


tools = ask


def _user(prompt: str) -> list[Any]:
    return [{"role": "user", "content": prompt}]

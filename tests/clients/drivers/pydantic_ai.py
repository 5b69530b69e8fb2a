"""Pydantic AI."""

import asyncio
from collections.abc import Iterator
from typing import Any

from pydantic_ai import Agent


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"12 degrees in {city}"


def ask(made: Any, prompt: str) -> str:
    return Agent(made.model).run_sync(prompt).output


def stream(made: Any, prompt: str) -> Iterator[str]:
    yield from asyncio.run(_streamed(made, prompt))


async def _streamed(made: Any, prompt: str) -> list[str]:
    async with Agent(made.model).run_stream(prompt) as answer:
        return [piece async for piece in answer.stream_text(delta=True)]


def tools(made: Any, prompt: str) -> str:
    return Agent(made.model, tools=[get_weather]).run_sync(prompt).output

"""OpenAI's SDK for agents."""

import asyncio
from collections.abc import Iterator
from typing import Any

from agents import Agent, Runner, function_tool
from openai.types.responses import ResponseTextDeltaEvent


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"12 degrees in {city}"


def ask(made: Any, prompt: str) -> str:
    return Runner.run_sync(Agent("Answerer", model=made.model), prompt).final_output


def stream(made: Any, prompt: str) -> Iterator[str]:
    yield from asyncio.run(_streamed(made, prompt))


async def _streamed(made: Any, prompt: str) -> list[str]:
    events = Runner.run_streamed(Agent("Answerer", model=made.model), prompt).stream_events()
    raw = [event.data async for event in events if event.type == "raw_response_event"]
    return [data.delta for data in raw if isinstance(data, ResponseTextDeltaEvent)]


def tools(made: Any, prompt: str) -> str:
    return Runner.run_sync(Agent("Answerer", model=made.model, tools=[get_weather]), prompt).final_output

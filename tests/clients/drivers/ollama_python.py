"""Ollama's package for Python."""

from collections.abc import Iterator
from typing import Any


def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: Its name.
    """
    return f"12 degrees in {city}"


def ask(made: Any, prompt: str) -> str:
    return made.client.chat(made.MODEL, [{"role": "user", "content": prompt}]).message.content


def stream(made: Any, prompt: str) -> Iterator[str]:
    for part in made.client.chat(made.MODEL, [{"role": "user", "content": prompt}], stream=True):
        yield part.message.content or ""


def tools(made: Any, prompt: str) -> str:
    messages: list[Any] = [{"role": "user", "content": prompt}]
    message = made.client.chat(made.MODEL, messages, tools=[get_weather]).message
    messages.append(message)
    for call in message.tool_calls:
        result = get_weather(**call.function.arguments)
        messages.append({"role": "tool", "tool_name": call.function.name, "content": result})
    return made.client.chat(made.MODEL, messages, tools=[get_weather]).message.content

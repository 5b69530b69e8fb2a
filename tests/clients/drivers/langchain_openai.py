"""LangChain's models of OpenAI, for Python."""

from collections.abc import Iterator
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"12 degrees in {city}"


def ask(made: Any, prompt: str) -> str:
    return made.model.invoke(prompt).content


def stream(made: Any, prompt: str) -> Iterator[str]:
    for chunk in made.model.stream(prompt):
        yield chunk.content


def tools(made: Any, prompt: str) -> str:
    model = made.model.bind_tools([get_weather])
    messages: list[Any] = [HumanMessage(prompt)]
    messages.append(model.invoke(messages))
    messages += [get_weather.invoke(call) for call in messages[-1].tool_calls]
    return model.invoke(messages).content

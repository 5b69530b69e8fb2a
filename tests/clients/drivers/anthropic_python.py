"""Anthropic's SDK for Python."""

from collections.abc import Iterator
from typing import Any

WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def _asked(made: Any, messages: list[Any]) -> dict[str, Any]:
    return {"model": made.MODEL, "max_tokens": 512, "messages": messages}


def ask(made: Any, prompt: str) -> str:
    return made.client.messages.create(**_asked(made, [{"role": "user", "content": prompt}])).content[0].text


def stream(made: Any, prompt: str) -> Iterator[str]:
    with made.client.messages.stream(**_asked(made, [{"role": "user", "content": prompt}])) as stream:
        yield from stream.text_stream


def tools(made: Any, prompt: str) -> str:
    messages: list[Any] = [{"role": "user", "content": prompt}]
    asked = {**_asked(made, messages), "tools": [WEATHER]}
    content = made.client.messages.create(**asked).content
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": f"12 degrees in {block.input['city']}"}
        for block in content
        if block.type == "tool_use"
    ]
    messages += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]
    return made.client.messages.create(**asked).content[0].text

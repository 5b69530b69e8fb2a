"""OpenAI's SDK for Python."""

import json
from collections.abc import Iterator
from typing import Any

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def ask(made: Any, prompt: str) -> str:
    answer = made.client.chat.completions.create(model=made.MODEL, messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content


def stream(made: Any, prompt: str) -> Iterator[str]:
    messages = [{"role": "user", "content": prompt}]
    for chunk in made.client.chat.completions.create(model=made.MODEL, messages=messages, stream=True):
        yield chunk.choices[0].delta.content or "" if chunk.choices else ""


def tools(made: Any, prompt: str) -> str:
    messages: list[Any] = [{"role": "user", "content": prompt}]
    asked = {"model": made.MODEL, "messages": messages, "tools": [WEATHER]}
    message = made.client.chat.completions.create(**asked).choices[0].message
    messages.append(message)
    for call in message.tool_calls:
        result = f"12 degrees in {json.loads(call.function.arguments)['city']}"
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return made.client.chat.completions.create(**asked).choices[0].message.content

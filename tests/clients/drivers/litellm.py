"""LiteLLM as a library."""

import json
from collections.abc import Iterator
from typing import Any

import litellm

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def ask(made: Any, prompt: str) -> str:
    return litellm.completion(**made.connection, messages=_user(prompt), num_retries=2).choices[0].message.content


def stream(made: Any, prompt: str) -> Iterator[str]:
    for chunk in litellm.completion(**made.connection, messages=_user(prompt), stream=True):
        yield chunk.choices[0].delta.content or ""


def tools(made: Any, prompt: str) -> str:
    messages = _user(prompt)
    message = litellm.completion(**made.connection, messages=messages, tools=[WEATHER]).choices[0].message
    messages.append(message)
    for call in message.tool_calls:
        result = f"12 degrees in {json.loads(call.function.arguments)['city']}"
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return litellm.completion(**made.connection, messages=messages, tools=[WEATHER]).choices[0].message.content


def _user(prompt: str) -> list[Any]:
    return [{"role": "user", "content": prompt}]

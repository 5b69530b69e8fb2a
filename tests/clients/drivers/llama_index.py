"""LlamaIndex, with a model that is like OpenAI's."""

from collections.abc import Iterator
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"12 degrees in {city}"


def ask(made: Any, prompt: str) -> str:
    return made.llm.chat([ChatMessage(role="user", content=prompt)]).message.content


def stream(made: Any, prompt: str) -> Iterator[str]:
    for part in made.llm.stream_chat([ChatMessage(role="user", content=prompt)]):
        yield part.delta or ""


def tools(made: Any, prompt: str) -> str:
    offered = [FunctionTool.from_defaults(get_weather)]
    messages = [ChatMessage(role="user", content=prompt)]
    answer = made.llm.chat_with_tools(offered, chat_history=messages)
    messages.append(answer.message)
    for call in made.llm.get_tool_calls_from_response(answer):
        about = {"tool_call_id": call.tool_id}
        messages.append(ChatMessage(role="tool", content=get_weather(**call.tool_kwargs), additional_kwargs=about))
    return made.llm.chat_with_tools(offered, chat_history=messages).message.content

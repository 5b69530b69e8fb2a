"""Tools: offered, called, answered. The template of the real model knows none of it."""

import json
from typing import Any

from tests.sdk.conformance import feature
from tests.sdk.talk import Talk, user


def tool(name: str) -> Any:
    """A tool that wants a city."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": f"{name} of a city", "parameters": schema}}


WEATHER, TIME = tool("get_weather"), tool("get_time")
QUESTION = "What is the weather in Paris? Use the tool."
TOOLS: Any = [WEATHER, TIME]


def _assembled(chunks: Any) -> list[dict[str, Any]]:
    """The calls of a stream, put together by their index."""
    calls: dict[int, dict[str, Any]] = {}
    for delta in (choice.delta for chunk in chunks for choice in chunk.choices):
        for piece in delta.tool_calls or ():
            call = calls.setdefault(piece.index, {"ids": set(), "name": "", "arguments": ""})
            if piece.id:
                call["ids"].add(piece.id)
            call["name"] += (piece.function and piece.function.name) or ""
            call["arguments"] += (piece.function and piece.function.arguments) or ""
    return [calls[index] for index in sorted(calls)]


@feature("Tools", "tool call", real=False)
def _(talk: Talk) -> None:
    choice = talk.ask(QUESTION, tools=TOOLS).choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls or ()
    assert call.type == "function"
    assert call.id
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    assert not choice.message.content


@feature("Tools", "tool call, streamed", real=False)
def _(talk: Talk) -> None:
    chunks = talk.stream(QUESTION, tools=TOOLS)
    (call,) = _assembled(chunks)
    assert len(call["ids"]) == 1
    assert call["name"] in {"get_weather", "get_time"}
    assert isinstance(json.loads(call["arguments"])["city"], str)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "tool_calls"


@feature("Tools", "several calls at once, streamed", real=False)
def _(talk: Talk) -> None:
    talk.scripted(talk.party.called("get_weather", "get_time"))
    calls = _assembled(talk.stream(QUESTION, tools=TOOLS))
    assert [call["name"] for call in calls] == ["get_weather", "get_time"]
    assert [json.loads(call["arguments"]) for call in calls] == [{"x": "get_weather"}, {"x": "get_time"}]
    assert len({min(call["ids"]) for call in calls}) == 2


@feature("Tools", "tool result, and the answer to it", real=False)
def _(talk: Talk) -> None:
    function = {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    said: list[Any] = [
        *user(QUESTION),
        {"role": "assistant", "content": None,
         "tool_calls": [{"id": "call_1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "12 degrees, rain"},
    ]  # fmt: skip
    choice = talk.ask(messages=said, tools=TOOLS).choices[0]
    assert choice.message.content
    assert choice.finish_reason == "stop"
    assert "12 degrees, rain" in json.dumps(talk.told())


@feature("Tools", '`tool_choice: "none"`', "tool_choice")
def _(talk: Talk) -> None:
    choice = talk.ask(QUESTION, tools=TOOLS, tool_choice="none").choices[0]
    assert choice.message.tool_calls is None
    assert choice.finish_reason in {"stop", "length"}


@feature("Tools", '`tool_choice: "required"`', "tool_choice", real=False)
def _(talk: Talk) -> None:
    choice = talk.ask(QUESTION, tools=TOOLS, tool_choice="required").choices[0]
    assert choice.message.tool_calls
    assert talk.was_told("required", "tool_choice") or talk.was_told({"type": "any"}, "tool_choice")


@feature("Tools", "`tool_choice` that names a tool", "tool_choice", real=False)
def _(talk: Talk) -> None:
    named: Any = {"type": "function", "function": {"name": "get_weather"}}
    (call,) = talk.ask(QUESTION, tools=TOOLS, tool_choice=named).choices[0].message.tool_calls or ()
    assert getattr(call, "function").name == "get_weather"  # noqa: B009
    told = talk.told()
    assert len(told["tools"]) == 1 or "get_weather" in json.dumps(told["tool_choice"])


@feature("Tools", "`parallel_tool_calls: false`", "parallel_tool_calls", real=False)
def _(talk: Talk) -> None:
    talk.ask(QUESTION, tools=TOOLS, parallel_tool_calls=False)
    assert talk.was_told(False, "parallel_tool_calls") or talk.was_told(True, "disable_parallel_tool_use")

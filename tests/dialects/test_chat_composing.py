"""Requests of other dialects, as an OpenAI-compatible server is told them."""

import json
from typing import Any

import pytest

from router.canonical.request import Profile
from router.dialects import openai_chat
from router.errors import UnsupportedParameter
from tests.dialects.responses_reading import parsed

TOOL = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
PIXEL = "data:image/png;base64,aGk="


def told(*, templated: bool = False, **fields: Any) -> dict[str, Any]:
    asked = openai_chat.spoken(parsed(**fields).chat, templated=templated)
    return json.loads(openai_chat.render_request(asked, "wire-name", Profile(), {}))


def test_only_what_was_said_is_told():
    assert told() == {"model": "wire-name", "messages": [{"role": "user", "content": "hi"}]}


def test_a_tool_loop_is_told_as_chats_have_it():
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"x": 1}'}
    result = {"type": "function_call_output", "call_id": "a", "output": "done"}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    body = told(input=[{"role": "user", "content": "hi"}, thought, call, result], tools=[TOOL], tool_choice="required")
    function = {"name": "f", "arguments": '{"x": 1}'}
    assert body["messages"][1:] == [
        {
            "role": "assistant", "content": None, "reasoning_content": "hm",
            "tool_calls": [{"id": "a", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "done", "tool_call_id": "a"},
    ]  # fmt: skip
    told_tool = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    assert (body["tools"], body["tool_choice"]) == ([{"type": "function", "function": told_tool}], "required")


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        ),
    ],
)
def test_a_chosen_tool_is_named(choice, said):
    assert told(tools=[TOOL], tool_choice=choice)["tool_choice"] == said


def test_instructions_wherever_they_stand_are_one_message_in_front():
    items = [
        {"role": "user", "content": "hi"},
        {"role": "developer", "content": "b"},
        {"role": "user", "content": "go"},
    ]
    messages = told(instructions="a", input=items)["messages"]
    assert [(message["role"], message["content"]) for message in messages] == [
        ("system", "a\n\nb"), ("user", "hi"), ("user", "go")
    ]  # fmt: skip


def test_images_and_files_are_parts():
    parts = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": PIXEL},
             {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}]  # fmt: skip
    (message,) = told(input=[{"role": "user", "content": parts}])["messages"]
    assert message["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
    ]


def test_a_part_that_nobody_here_knows_is_not_left_out_in_silence():
    with pytest.raises(UnsupportedParameter):
        told(input=[{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}])


def test_a_schema_keeps_its_strictness():
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    shape = {"name": "response", "schema": {"type": "object"}, "strict": True}
    assert told(text={"format": form})["response_format"] == {"type": "json_schema", "json_schema": shape}


def test_a_wish_not_to_think_is_told_to_the_template_that_wants_it():
    asked = {"reasoning": {"effort": "none"}}
    assert told(**asked, templated=True)["chat_template_kwargs"] == {"enable_thinking": False}
    assert "chat_template_kwargs" not in told(**asked)


def test_how_to_pick_tokens_and_how_to_answer_is_told():
    body = told(stream=True, temperature=0.5, top_p=0.9, max_output_tokens=7, user="u", parallel_tool_calls=False,
                top_logprobs=2, tools=[TOOL], stream_options={"include_usage": True})  # fmt: skip
    said = {key: body[key] for key in ("stream", "temperature", "top_p", "max_tokens", "user", "top_logprobs")}
    assert said == {
        "stream": True, "temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "user": "u", "top_logprobs": 2
    }  # fmt: skip
    assert (body["logprobs"], body["parallel_tool_calls"]) == (True, False)

"""Requests of the Responses API, and what the hub makes of them."""

import json

import pytest
from msgspec import Raw

from router.canonical.request import FilePart, ImagePart, Message, OpaquePart, ResponseFormat, TextPart, ToolChoice
from router.dialects import openai_responses
from router.dialects.openai_responses.sealed import sealed
from router.errors import InvalidJSON, InvalidParameter, PreviousResponseNotFound, RouterError, UnsupportedParameter
from tests.dialects.responses_reading import NothingKept, parsed

WEATHER = {"type": "function", "name": "weather", "description": "d", "parameters": {"type": "object"}, "strict": True}
PATCH = {
    "type": "custom", "name": "apply_patch", "description": "Patches files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
}  # fmt: skip
SPACE = {"type": "namespace", "name": "mcp__docs", "description": "d", "tools": [{**WEATHER, "name": "find"}]}
BLOCK = Raw(b'{"type": "thinking","thinking":"t","signature":"s"}')


def messages(*items: object, **more: object) -> tuple[Message, ...]:
    return parsed(input=list(items), **more).chat.messages


def call(call_id: str, **more: object) -> dict[str, object]:
    return {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": "f", "arguments": "{}", **more}


def output(call_id: str, told: object = "done", kind: str = "function_call_output") -> dict[str, object]:
    return {"type": kind, "call_id": call_id, "output": told}


def test_a_text_is_a_users_message_after_the_instructions():
    found = parsed(input="hello", instructions="Be brief.").chat.messages
    assert found == (Message("system", (TextPart("Be brief."),)), Message("user", (TextPart("hello"),)))


def test_parts_of_every_kind_are_understood():
    (message,) = messages(
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"},
                {"type": "input_image", "image_url": "https://example.org/a.png"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
                {"type": "input_file", "file_id": "file_1"},
            ],
        }
    )
    assert message.parts == (
        TextPart("look"),
        ImagePart("aGk=", "image/png"),
        ImagePart(url="https://example.org/a.png"),
        FilePart("file", "aGk=", "application/pdf", "a.pdf"),
        OpaquePart("input_file"),
    )


def test_what_stands_side_by_side_of_one_answer_is_one_message():
    _, answer, first, second = messages(
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "content": None},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        call("a"),
        call("b", arguments=None),
        output("a"),
        output("b", [{"type": "input_text", "text": "x"}]),
    )
    assert (answer.reasoning, answer.parts) == ("hm", (TextPart("I look."),))
    assert [(one.id, one.arguments) for one in answer.tool_calls] == [("a", "{}"), ("b", "{}")]
    assert (first.role, first.tool_call_id, first.parts) == ("tool", "a", (TextPart("done"),))
    assert (second.tool_call_id, second.parts) == ("b", (TextPart("x"),))


def test_signed_reasoning_stands_where_it_stood():
    thought = {"type": "reasoning", "summary": [], "encrypted_content": sealed([BLOCK])}
    said = {"type": "message", "role": "assistant", "content": "I look."}
    _, first, second = messages(
        {"role": "user", "content": "hi"}, thought, said, thought, call("a"), thought, call("b")
    )
    assert (first.reasoning_blocks, first.tool_calls) == ((BLOCK,), ())
    assert second.reasoning_blocks == (BLOCK,)
    assert [one.reasoning_blocks for one in second.tool_calls] == [(), (BLOCK,)]


def test_thoughts_that_led_to_nothing_are_no_message():
    assert len(messages({"role": "user", "content": "hi"}, {"type": "reasoning", "summary": []})) == 1


def test_what_openai_did_itself_is_passed_over_and_the_unknown_is_named():
    asked = parsed(
        input=[{"role": "user", "content": "hi"}, {"type": "web_search_call", "id": "ws"}, {"type": "novel"}]
    )
    assert len(asked.chat.messages) == 1
    assert asked.chat.unsupported == ("input.novel",)


def test_a_custom_tool_becomes_a_function_with_its_grammar_in_words():
    (tool,) = parsed(tools=[PATCH]).chat.tools
    assert (tool.name, tool.kind) == ("apply_patch", "function")
    assert tool.description == "Patches files.\n\nThe input must follow this lark grammar:\nstart: /.+/"
    assert json.loads(bytes(tool.parameters or b""))["required"] == ["input"]


def test_earlier_calls_of_custom_tools_and_of_the_shell_are_calls_of_functions():
    _, answer, *results = messages(
        {"role": "user", "content": "hi"},
        {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": 'say "x"'},
        {"type": "local_shell_call", "id": "lsh_1", "call_id": "b", "status": "completed",
         "action": {"type": "exec", "command": ["ls"], "env": {}, "user": None}},
        output("a", kind="custom_tool_call_output"),
        {"type": "local_shell_call_output", "id": "lsh_1", "output": "files"},
    )  # fmt: skip
    told = [(one.name, json.loads(one.arguments)) for one in answer.tool_calls]
    assert told == [("apply_patch", {"input": 'say "x"'}), ("local_shell", {"command": ["ls"], "env": {}})]
    assert [result.tool_call_id for result in results] == ["a", "b"]


def test_a_namespace_is_flattened_the_same_way_in_tools_and_in_earlier_calls():
    asked = parsed(
        tools=[SPACE, {**SPACE, "name": "mcp__web__"}],
        input=[{"role": "user", "content": "hi"}, call("a", name="find", namespace="mcp__docs"), output("a")],
    )
    assert [tool.name for tool in asked.chat.tools] == ["mcp__docs__find", "mcp__web__find"]
    assert asked.chat.messages[1].tool_calls[0].name == "mcp__docs__find"


def test_a_flattened_name_is_always_one_that_backends_take():
    names = [tool.name for tool in parsed(tools=[{**SPACE, "name": "é" * 70}, {**SPACE, "name": "ü" * 70}]).chat.tools]
    assert len(set(names)) == 2
    assert all(len(name) <= 64 and name.replace("_", "").isalnum() and name.isascii() for name in names)


def test_tools_that_only_openai_has_are_dropped_and_named():
    asked = parsed(tools=[{"type": "web_search"}, WEATHER, {"type": "mcp", "server_label": "x"}], tool_choice="auto")
    assert [tool.name for tool in asked.chat.tools] == ["weather"]
    assert asked.chat.unsupported == ("web_search", "mcp")


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "weather"}, ToolChoice("required", ("weather",))),
        ({"type": "custom", "name": "apply_patch"}, ToolChoice("required", ("apply_patch",))),
        ({"type": "local_shell"}, ToolChoice("required", ("local_shell",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
            ToolChoice("auto", ("weather",)),
        ),
    ],
)
def test_a_tool_can_be_chosen_in_every_way(choice, meant):
    assert parsed(tools=[WEATHER, PATCH, {"type": "local_shell"}], tool_choice=choice).chat.tool_choice == meant


def test_a_choice_that_only_openai_could_follow_is_dropped_and_named():
    asked = parsed(tools=[WEATHER, {"type": "web_search"}], tool_choice={"type": "web_search"})
    assert (asked.chat.tool_choice, asked.chat.unsupported) == (None, ("web_search", "tool_choice"))


def test_a_schema_and_its_strictness_are_understood():
    asked = parsed(text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}})
    assert asked.chat.response_format == ResponseFormat("json_schema", Raw(b'{"type": "object"}'), strict=True)


def test_what_codex_sends_is_all_understood():
    asked = parsed(
        store=False, stream=True, include=["reasoning.encrypted_content"], prompt_cache_key="k", tool_choice="auto",
        parallel_tool_calls=True, reasoning={"effort": "high", "summary": "auto"}, client_metadata={"a": "b"},
        instructions="You are Codex.", tools=[WEATHER, PATCH, {"type": "local_shell"}, SPACE],
        input=[{"type": "message", "id": f"msg_{role}", "role": role, "content": [{"type": "input_text", "text": "x"}]}
               for role in ("developer", "user")],
    )  # fmt: skip
    assert (asked.chat.unsupported, asked.keep, asked.chat.reasoning_effort) == ((), False, "high")
    assert [message.role for message in asked.chat.messages] == ["system", "developer", "user"]


@pytest.mark.parametrize("field", ["stream", "tools", "tool_choice", "text", "reasoning", "instructions", "metadata",
                                   "previous_response_id", "temperature", "max_output_tokens", "store"])  # fmt: skip
def test_null_says_nothing(field):
    asked = parsed(**{field: None})
    assert asked.chat.messages == (Message("user", (TextPart("hi"),)),)
    assert field not in asked.shown


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    [
        ({"model": None}, InvalidParameter, "model"),
        ({"input": None}, InvalidParameter, "input"),
        ({"input": []}, InvalidParameter, "input"),
        ({"input": 7}, InvalidParameter, "input"),
        ({"input": [{"content": "x"}]}, InvalidParameter, "input[0].type"),
        ({"input": ["x"]}, InvalidParameter, "input[0]"),
        ({"input": [{"type": "message", "content": "x"}]}, InvalidParameter, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": 7}]}]}, InvalidParameter,
         "input[0].content[0].text"),
        ({"input": [{"type": "function_call", "call_id": "a"}]}, InvalidParameter, "input[0].name"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, InvalidParameter, "input[0].call_id"),
        ({"input": [{"type": "local_shell_call", "call_id": "a", "action": 7}]}, InvalidParameter, "input[0].action"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, InvalidParameter, "input[0]"),
        ({"input": [{"id": "msg_1"}]}, InvalidParameter, "input[0]"),
        ({"tools": [{"type": "function"}]}, InvalidParameter, "tools[0].name"),
        ({"tools": [WEATHER] * 2000}, InvalidParameter, "tools"),
        ({"tools": [WEATHER], "tool_choice": "maybe"}, InvalidParameter, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "g"}}, InvalidParameter, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, InvalidParameter, "text.format.type"),
        ({"text": {"format": {"type": "json_schema"}}}, InvalidParameter, "text.format.schema"),
        ({"top_logprobs": 21}, InvalidParameter, "top_logprobs"),
        ({"background": True}, UnsupportedParameter, "background"),
        ({"conversation": "conv_1"}, UnsupportedParameter, "conversation"),
        ({"prompt": {"id": "p"}}, UnsupportedParameter, "prompt"),
        ({"previous_response_id": "resp_1"}, PreviousResponseNotFound, "previous_response_id"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(fields, error, param):
    with pytest.raises(error) as caught:
        parsed(**fields)
    assert (type(caught.value), caught.value.param) == (error, param)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"model":"m","input":"\xff"}', b"[" * 500])
def test_a_body_that_is_none_is_refused(body):
    with pytest.raises(RouterError) as caught:
        openai_responses.parse_request(body, NothingKept())
    assert isinstance(caught.value, (InvalidJSON, InvalidParameter))
    assert not openai_responses.is_meant(b'{"messages":[],"input":"x"}')

"""What Anthropic's clients ask, as the hub understands it."""

import json
from typing import Any

import pytest

from router.canonical.request import FilePart, ImagePart, Message, OpaquePart, TextPart
from router.dialects.anthropic_messages import parse_request
from router.errors import InvalidJSON, InvalidParameter
from tests.surfaces.messages import LOOP, WEATHER, said

PIXEL = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}


def parsed(**fields: Any):
    return parse_request(json.dumps(said("m", **fields)).encode())


def heard(*content: Any, role: str = "user") -> tuple[Message, ...]:
    return parsed(messages=[{"role": role, "content": list(content)}]).messages


def test_the_system_prompt_is_one_text_without_the_line_that_counts_money():
    blocks = [{"type": "text", "text": text} for text in ("x-anthropic-billing-header: a=1", "One.", "", "Two.")]
    assert parsed(system=blocks).messages[0] == Message("system", (TextPart("One.\n\nTwo."),))
    assert parsed(system="One.").messages[0] == Message("system", (TextPart("One."),))
    assert [message.role for message in parsed(system=[blocks[0]]).messages] == ["user"]


def test_a_system_message_in_the_conversation_stays_in_its_place():
    messages = [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]
    assert [message.role for message in parsed(messages=messages).messages] == ["user", "system"]


def test_results_come_before_what_the_user_says_and_their_images_go_with_it():
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "r"}, PIXEL]}
    assert heard({"type": "text", "text": "first"}, result, {"type": "text", "text": "then"}) == (
        Message("tool", (TextPart("r"),), tool_call_id="t1"),
        Message("user", (TextPart("first"), ImagePart("iVBO", "image/png"), TextPart("then"))),
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [("down", "Error: down"), ([{"type": "text", "text": "down"}], "Error: down"), (None, "Error: ")],
)
def test_a_result_that_is_an_error_says_so(content, text):
    (result,) = heard({"type": "tool_result", "tool_use_id": "t", "content": content, "is_error": True})
    assert result.parts == (TextPart(text),)


def test_a_result_without_content_is_an_empty_one():
    assert heard({"type": "tool_result", "tool_use_id": "t"}) == (Message("tool", (), tool_call_id="t"),)


def test_an_assistants_turn_keeps_its_text_its_calls_and_its_thoughts_apart():
    content = [
        {"type": "thinking", "thinking": "a", "signature": "SIG"},
        {"type": "thinking", "thinking": "b", "signature": ""},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "c"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": {"type": "oops", "error_code": 1}},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"x": "é", "n": None}},
        {"type": "tool_use", "id": "u", "name": "g"},
    ]
    (turn,) = heard(*content, role="assistant")
    assert (turn.parts, turn.reasoning) == ((TextPart("c"),), "a\n\nb")
    assert [(call.id, call.name, call.arguments) for call in turn.tool_calls] == [
        ("t", "f", '{"x":"é","n":null}'),
        ("u", "g", "{}"),
    ]
    assert [json.loads(bytes(block)) for block in turn.reasoning_blocks] == [content[0], content[2]]


def test_documents_are_text_or_files():
    def document(**source: Any) -> Any:
        return {"type": "document", "title": "t", "source": source}

    (message,) = heard(
        document(type="text", media_type="text/plain", data="plain"),
        document(type="base64", media_type="application/pdf", data="JVBE"),
        document(type="content", content=[{"type": "text", "text": "inner"}]),
        document(type="url", url="https://x"),
        {"type": "search_result", "source": "https://x", "title": "t", "content": [{"type": "text", "text": "found"}]},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
    )
    assert message.parts == (
        TextPart("plain"),
        FilePart("document", "JVBE", "application/pdf", "t"),
        TextPart("inner"),
        OpaquePart("document"),
        TextPart("found"),
        ImagePart(url="https://x/y.png"),
    )


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, "none"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, "xhigh"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8192}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 31_999}}, "high"),
    ],
)
def test_thinking_is_an_effort(fields, effort):
    assert parsed(**fields).reasoning_effort == effort


@pytest.mark.parametrize(
    ("choice", "mode", "names"),
    [
        ({"type": "auto"}, "auto", ()),
        ({"type": "any"}, "required", ()),
        ({"type": "tool", "name": "get_weather"}, "required", ("get_weather",)),
        ({"type": "none"}, "none", ()),
    ],
)
def test_a_choice_of_tools_is_a_mode(choice, mode, names):
    chosen = parsed(tools=[WEATHER], tool_choice=choice).tool_choice
    assert chosen is not None
    assert (chosen.mode, chosen.names) == (mode, names)


def test_what_only_claude_has_is_named_and_everything_that_nobody_knows_too():
    asked = parsed(
        tools=[{"type": "web_search_20250305", "name": "w"}, {"type": "custom", **WEATHER}],
        context_management={}, mcp_servers=[], brand_new=1, diagnostics=None, service_tier="auto",
    )  # fmt: skip
    assert asked.unsupported == (
        "context_management", "mcp_servers", "brand_new", "service_tier", "tools.web_search_20250305"
    )  # fmt: skip
    assert [tool.name for tool in asked.tools] == ["get_weather"]


def test_the_other_parameters_have_their_place_in_the_hub():
    schema = {"type": "object"}
    asked = parsed(
        temperature=0.5, top_p=0.9, top_k=3, stop_sequences=["END"], metadata={"user_id": "u1"}, stream=True,
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )  # fmt: skip
    sampling = asked.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.stop) == (50, 0.5, 0.9, ("END",))
    assert (asked.extras, asked.user, asked.stream) == ({"top_k": 3}, "u1", True)
    assert asked.response_format is not None
    assert json.loads(bytes(asked.response_format.schema or b"")) == schema


def test_a_tool_loop_is_understood():
    assert [message.role for message in parsed(messages=LOOP).messages] == ["user", "assistant", "tool"]


def test_a_body_that_cannot_be_read_is_the_clients_mistake():
    with pytest.raises(InvalidJSON):
        parse_request(b'{"model": "m", "messages": [')
    with pytest.raises(InvalidParameter, match="messages"):
        parsed(messages=[{"role": "user", "content": 5}])
    with pytest.raises(InvalidParameter, match="nothing is said"):
        parsed(messages=[{"role": "system", "content": ""}])

"""Chat requests of OpenAI's clients: what is accepted, what it means, and what is refused by name."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.canonical.request import (
    ChatRequest,
    ImagePart,
    OpaquePart,
    ResponseFormat,
    Sampling,
    TextPart,
    ToolCall,
    ToolChoice,
)
from router.dialects import openai_chat
from router.errors import BadRequest, InvalidJSON, InvalidParameter
from tests.dialects.asking import EVERY_PARAMETER, FUNCTION, USER, parsed, rendered
from tests.dialects.streams import texts


def refused(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parsed(**fields)
    return caught.value


@pytest.mark.parametrize("name", EVERY_PARAMETER)
def test_every_parameter_is_accepted(name):
    assert name in parsed(**{name: EVERY_PARAMETER[name]}).wire.fields


def test_all_parameters_together_are_accepted():
    assert parsed(**EVERY_PARAMETER).n == 2


@pytest.mark.parametrize("name", EVERY_PARAMETER)
def test_an_explicit_null_is_as_good_as_nothing(name):
    with_null, without = parsed(**{name: None}), parsed()
    for field in ChatRequest.__struct_fields__:
        if field not in {"wire", "messages"}:
            assert getattr(with_null, field) == getattr(without, field)


def test_what_the_hub_does_not_model_is_named():
    named = parsed(**EVERY_PARAMETER).unsupported
    assert {"audio", "logit_bias", "metadata", "prediction", "store", "user", "service_tier"} <= set(named)


def test_what_the_hub_models_is_not_named():
    assert not {"messages", "model", "stop", "tools", "seed", "stream_options"} & set(
        parsed(**EVERY_PARAMETER).unsupported
    )


def test_sampling_keeps_a_zero_apart_from_nothing():
    assert parsed(temperature=0, frequency_penalty=0).sampling == Sampling(temperature=0, frequency_penalty=0)


def test_the_newer_limit_wins():
    assert parsed(max_tokens=500, max_completion_tokens=32).sampling.max_tokens == 32


def test_a_stop_text_is_a_list_of_one():
    assert parsed(stop="END").sampling.stop == ("END",)


def test_usage_is_wanted_when_asked_for():
    assert parsed(stream=True, stream_options={"include_usage": True}).include_usage
    assert not parsed(stream=True, stream_options={}).include_usage


@pytest.mark.parametrize("fields", [{"reasoning_effort": "low"}, {"reasoning": {"effort": "low", "summary": "auto"}}])
def test_reasoning_effort_has_two_spellings(fields):
    assert parsed(**fields).reasoning_effort == "low"


def test_a_task_may_stand_in_the_metadata():
    assert parsed(metadata={"task": "code"}).task == "code"


@pytest.mark.parametrize("metadata", [{}, {"task": 5}, {"task": ""}, [], "code", None])
def test_other_metadata_names_no_task(metadata):
    assert parsed(metadata=metadata).task is None


def test_native_fields_of_ollama_are_kept_as_extras():
    extras = {"options": {"num_ctx": 8192}, "keep_alive": "5m", "think": True, "top_k": 4}
    assert parsed(**extras).extras == extras


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("hi", (TextPart("hi"),)),
        (None, ()),
        ("", (TextPart(""),)),
        ([], ()),
        ([{"type": "text", "text": str(at)} for at in range(5)], tuple(TextPart(str(at)) for at in range(5))),
        ([{"type": "refusal", "refusal": "no"}], (TextPart("no"),)),
        ([{"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}], (OpaquePart("input_audio"),)),
        ([{"type": "file", "file": {"file_id": "f"}}], (OpaquePart("file"),)),
        ([{"type": "image_url", "image_url": "data:image/png;base64,AAAA"}], (ImagePart("AAAA", "image/png"),)),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}],
            (ImagePart("AA==", "image/png"),),
        ),
        (
            [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}],
            (ImagePart(url="https://x.test/a.png"),),
        ),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}}],
            (ImagePart(url="data:image/svg+xml,<svg/>"),),
        ),
    ],
)
def test_content_may_be_a_text_or_parts(content, parts):
    assert parsed(messages=[{"role": "user", "content": content}]).messages[0].parts == parts


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


@pytest.mark.parametrize(
    "said",
    [{"content": None}, {"content": ""}, {}, {"content": None, "refusal": None}, {"content": []}, {"content": "a"}],
)
def test_an_assistant_may_call_tools_with_any_content(said):
    message = parsed(messages=[USER, {"role": "assistant", "tool_calls": [CALL], **said}]).messages[1]
    assert message.tool_calls == (ToolCall("c1", "f", '{"x": 1}'),)


def test_empty_arguments_are_an_empty_object():
    call = {**CALL, "function": {"name": "f", "arguments": ""}}
    assert parsed(messages=[{"role": "assistant", "tool_calls": [call]}]).messages[0].tool_calls[0].arguments == "{}"


def test_the_old_function_call_is_a_tool_call():
    message = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    assert parsed(messages=[message]).messages[0].tool_calls[0].name == "f"


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_earlier_reasoning_has_two_names(key):
    assert parsed(messages=[{"role": "assistant", "content": "4", key: "2+2"}]).messages[0].reasoning == "2+2"


def test_a_tool_result_may_have_parts_and_a_name():
    message = {"role": "tool", "tool_call_id": "c1", "name": "f", "content": [{"type": "text", "text": "11 C"}]}
    found = parsed(messages=[USER, message]).messages[1]
    assert (found.tool_call_id, found.name, found.parts) == ("c1", "f", (TextPart("11 C"),))


def test_two_messages_of_one_role_stay_two():
    assert len(parsed(messages=[USER, USER, {"role": "system", "content": "s"}]).messages) == 3


@pytest.mark.parametrize(
    ("choice", "meaning"),
    [
        (None, None),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("required", ("f",))),
        ({"type": "function", "name": "f"}, ToolChoice("required", ("f",))),
        ({"type": "custom", "custom": {"name": "g"}}, ToolChoice("required", ("g",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [
                        {"type": "function", "function": {"name": "f"}},
                        {"type": "custom", "custom": {"name": "g"}},
                    ],
                },
            },
            ToolChoice("auto", ("f", "g")),
        ),
    ],
)
def test_a_tool_choice_has_many_forms(choice, meaning):
    assert parsed(tool_choice=choice).tool_choice == meaning


@pytest.mark.parametrize(
    "choice",
    [
        "any",
        5,
        [],
        {},
        {"type": "function"},
        {"type": "function", "function": {}},
        {"type": "function", "function": "f"},
        {"type": "allowed_tools"},
        {"type": "allowed_tools", "allowed_tools": {"mode": "any", "tools": []}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [5]}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{}]}},
    ],
)
def test_a_tool_choice_that_means_nothing_is_refused(choice):
    assert refused(tool_choice=choice).param == "tool_choice"


def test_a_tool_keeps_its_schema_as_text():
    (tool,) = parsed(tools=[{"type": "function", "function": FUNCTION}]).tools
    assert (tool.name, tool.description, json.loads(bytes(tool.parameters))) == ("f", "d", FUNCTION["parameters"])


def test_a_flat_tool_is_a_function():
    assert parsed(tools=[{"type": "function", **FUNCTION}]).tools[0].name == "f"


def test_a_custom_tool_is_kept_as_what_it_is():
    assert parsed(tools=[{"type": "custom", "custom": {"name": "g"}}]).tools[0].kind == "custom"


@pytest.mark.parametrize(
    ("wanted", "meaning"),
    [
        (None, None),
        ({"type": "text"}, "text"),
        ({"type": "json_object"}, "json_object"),
        ({"type": "json_schema", "json_schema": {"name": "p", "schema": {"type": "object"}}}, "json_schema"),
    ],
)
def test_a_response_format_is_understood(wanted, meaning):
    found = parsed(response_format=wanted).response_format
    assert (found.kind if isinstance(found, ResponseFormat) else None) == meaning


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages[0]"),
        ({"messages": [USER, {"role": "user", "content": 5}]}, "messages[1].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}]}, "messages[0].tool_calls[0].function"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"stop": [5]}, "stop[0]"),
        ({"n": 0}, "n"),
        ({"n": 1_000_000}, "n"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"function": {}}]}, "tools[0].function"),
        ({"tools": [{"function": FUNCTION}] * 2_000}, "tools"),
        ({"messages": [USER] * 20_001}, "messages"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"stream_options": []}, "stream_options"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(fields, param):
    error = refused(**fields)
    assert isinstance(error, InvalidParameter)
    assert error.param == param


def test_missing_messages_are_named():
    with pytest.raises(InvalidParameter) as caught:
        openai_chat.parse_request(b'{"model":"m"}')
    assert caught.value.param == "messages"


@pytest.mark.parametrize("body", [b"", b"{", b'{"model":}', b"\x00", b'{"model":"m"} x', b'{"a":"\\ud800"}', b"nope"])
def test_bad_json_is_said_to_be_bad_json(body):
    with pytest.raises(InvalidJSON):
        openai_chat.parse_request(body)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"5", b"null"])
def test_json_that_is_no_object_is_refused(body):
    with pytest.raises(InvalidParameter):
        openai_chat.parse_request(body)


@pytest.mark.parametrize("place", ["model", "messages", "metadata", "unknown", "options", "tool_choice"])
def test_bytes_that_are_not_utf_8_are_refused_wherever_they_stand(place):
    body = json.dumps({"model": "m", "messages": [USER], place: "BAD"}).encode().replace(b"BAD", b"\xff\xfe")
    with pytest.raises(BadRequest):
        openai_chat.parse_request(body)


@pytest.mark.parametrize(
    "place", ["metadata", "unknown", "options", "tools", "messages", "tool_choice", "response_format"]
)
@pytest.mark.parametrize("depth", [129, 400, 900, 5_000, 200_000])
def test_json_nested_too_deeply_is_refused_wherever_it_stands(place, depth):
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"%b":%b}' % (place.encode(), deep)
    with pytest.raises(BadRequest):
        openai_chat.parse_request(body)


def test_a_deep_schema_that_a_person_could_write_is_accepted():
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(50):
        schema = {"type": "object", "properties": {"a": schema}}
    assert parsed(tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}]).tools


def test_brackets_inside_texts_are_not_depth():
    text = '[{"' * 1_000 + '\\"[[' * 500
    assert parsed(messages=[{"role": "user", "content": text}]).messages[0].parts == (TextPart(text),)


@given(
    st.dictionaries(
        st.sampled_from([*EVERY_PARAMETER, "messages", "model", "options"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["type", "function", "name", "role", "content", "mode", "tools", "allowed_tools", "schema"]
                    ),
                    inner,
                )
            ),
            max_leaves=8,
        ),
    )
)
def test_any_json_is_either_understood_or_refused(fields):
    with suppress(BadRequest):
        rendered(parsed(**fields))


@given(st.binary(max_size=200))
def test_any_bytes_are_either_understood_or_refused(body):
    with pytest.raises(BadRequest):
        openai_chat.parse_request(body)

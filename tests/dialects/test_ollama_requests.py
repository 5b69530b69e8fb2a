"""Requests as Ollama gets them, beyond what the golden cases show."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.canonical.request import Profile
from router.dialects import ollama, openai_chat, openai_embeddings
from router.errors import BadRequest, InvalidParameter, UnsupportedParameter
from tests.dialects.streams import texts

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
OTHER_TOOL = {"type": "function", "function": {"name": "g"}}
ABLE = frozenset({"chat", "tools", "vision", "thinking"})
SCHEMA = b'{"type":"object","properties":{"zeta":{"type":"string"},"age":{"type":"integer"}}}'


def rendered(
    profile: Profile | None = None, *, capabilities: frozenset[str] | None = ABLE, knows_max: bool = True, **fields: Any
) -> ollama.Rendered:
    body = json.dumps({"model": "m", "messages": [USER], **fields}).encode()
    request = openai_chat.parse_request(body)
    return ollama.render_request(request, "m:8b", profile or Profile(), capabilities, knows_max=knows_max)


def sent(profile: Profile | None = None, **fields: Any) -> dict[str, Any]:
    return json.loads(rendered(profile, **fields).body)


def refused(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        rendered(**fields)
    return caught.value


def test_a_plain_request_has_nothing_that_nobody_asked_for():
    assert sent() == {"model": "m:8b", "messages": [USER], "stream": False, "truncate": False}


@pytest.mark.parametrize("stream", [True, False])
def test_whether_to_stream_is_always_said(stream):
    assert sent(stream=stream)["stream"] is stream


@pytest.mark.parametrize(
    "name",
    [
        "user",
        "metadata",
        "store",
        "logit_bias",
        "service_tier",
        "prediction",
        "modalities",
        "audio",
        "verbosity",
        "web_search_options",
        "safety_identifier",
        "prompt_cache_key",
        "some_vendors_field",
    ],
)
def test_every_field_that_ollama_has_no_place_for_is_named(name):
    assert rendered(**{name: "x"}).dropped == (name,)


@pytest.mark.parametrize("name", ["user", "metadata", "store", "logit_bias"])
def test_a_field_that_says_nothing_is_not_named(name):
    assert rendered(**{name: None}).dropped == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"stream_options": {"include_usage": True}, "stream": True},
        {"n": 1},
        {"seed": 1, "top_p": 0.5, "temperature": 0, "stop": "x", "max_tokens": 5, "presence_penalty": 1},
        {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": True},
        {"tools": [TOOL], "tool_choice": "none"},
        {"response_format": {"type": "text"}},
        {"logprobs": True, "top_logprobs": 2},
        {"reasoning_effort": "high"},
        {"options": {"mirostat": 1}, "keep_alive": "5m", "top_k": 3},
    ],
)
def test_what_ollama_is_told_is_not_named_as_dropped(fields):
    assert rendered(**fields).dropped == ()


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ({"tools": [TOOL], "tool_choice": "required"}, ("tool_choice",)),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}}, ("tool_choice",)),
        ({"tools": [TOOL], "parallel_tool_calls": False}, ("parallel_tool_calls",)),
        ({"top_logprobs": 2}, ("top_logprobs",)),
    ],
)
def test_what_ollama_cannot_enforce_is_named(fields, dropped):
    assert rendered(**fields).dropped == dropped


def test_a_tool_that_is_no_function_is_refused_rather_than_left_out():
    error = refused(tools=[TOOL, {"type": "custom", "custom": {"name": "g"}}])
    assert isinstance(error, UnsupportedParameter)
    assert error.param == "tools[1].type"


def test_the_old_functions_are_refused_rather_than_left_out():
    assert refused(functions=[{"name": "f"}]).param == "functions"


def test_no_tools_are_offered_when_none_may_be_called():
    assert "tools" not in sent(tools=[TOOL], tool_choice="none")


def test_only_the_allowed_tools_are_offered():
    allowed = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "g"}}]}
    found = sent(tools=[TOOL, OTHER_TOOL], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool["function"]["name"] for tool in found["tools"]] == ["g"]


@pytest.mark.parametrize(
    ("parameters", "as_sent"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object", "properties": {}}),
        (
            {"type": "object", "properties": {"a": True, "b": False}},
            {"type": "object", "properties": {"a": {}, "b": {"not": {}}}},
        ),
        ({"properties": {"a": {"properties": {"b": True}}}}, {"properties": {"a": {"properties": {"b": {}}}}}),
        (
            {"properties": {"a": {"type": "array", "items": {"type": "string"}}}},
            {"properties": {"a": {"type": "array", "items": {"type": "string"}}}},
        ),
    ],
)
def test_a_schema_has_no_boolean_properties(parameters, as_sent):
    found = sent(tools=[{"type": "function", "function": {"name": "f", "parameters": parameters}}])
    assert found["tools"][0]["function"]["parameters"] == as_sent


def test_a_schema_for_the_answer_goes_out_in_its_own_bytes():
    request = openai_chat.parse_request(
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":'
        b'{"type":"json_schema","json_schema":{"name":"p","schema":' + SCHEMA + b"}}}"
    )
    assert b'"format":' + SCHEMA in ollama.render_request(request, "m", Profile(), None).body


def test_a_schema_that_is_missing_still_asks_for_json():
    assert sent(response_format={"type": "json_schema", "json_schema": {"name": "p"}})["format"] == "json"


def test_a_call_keeps_the_models_own_arguments():
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": '{"x": 1.0, "big": 123456789012345678901}'},
    }
    body = rendered(messages=[{"role": "assistant", "tool_calls": [call]}]).body
    assert b'"arguments":{"x": 1.0, "big": 123456789012345678901}' in body


@pytest.mark.parametrize("arguments", ["[1]", '"x"', "nope", "{", "5", '{"a":"\\ud800"}', "[" * 2_000])
def test_arguments_that_are_no_object_are_refused_by_their_place(arguments):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    error = refused(messages=[USER, {"role": "assistant", "tool_calls": [call]}])
    assert error.param == "messages[1].tool_calls[0].function.arguments"


def test_a_result_of_an_unknown_call_keeps_its_own_name():
    message = {"role": "tool", "tool_call_id": "zz", "name": "h", "content": "1"}
    assert sent(messages=[message])["messages"] == [
        {"role": "tool", "content": "1", "tool_name": "h", "tool_call_id": "zz"}
    ]


def test_the_old_function_role_is_a_tool_result():
    assert sent(messages=[{"role": "function", "name": "h", "content": "1"}])["messages"] == [
        {"role": "tool", "content": "1", "tool_name": "h"}
    ]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "narrator", "content": "x"}, "messages[0].role"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "https://x.test/a"}]}, "messages[0].content"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": "data:image/svg+xml,<a/>"}]},
            "messages[0].content",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,"}]},
            "messages[0].content",
        ),
    ],
)
def test_a_message_that_ollama_cannot_take_is_refused_by_its_place(message, param):
    assert refused(messages=[message]).param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [TOOL]}, "tools"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,AA=="}]}
                ]
            },
            "messages",
        ),
    ],
)
def test_what_the_model_cannot_do_may_be_tried_elsewhere(fields, param):
    error = refused(capabilities=frozenset({"chat"}), **fields)
    assert (error.retryable, error.status, error.param) == (True, 400, param)


@pytest.mark.parametrize("fields", [{"tools": [TOOL]}, {"tools": [TOOL], "tool_choice": "none"}])
def test_a_model_of_unknown_abilities_is_given_the_chance(fields):
    assert rendered(capabilities=None, **fields).body


@pytest.mark.parametrize(
    ("effort", "think"),
    [
        ("none", False),
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "max"),
        ("max", "max"),
    ],
)
def test_reasoning_effort_becomes_think(effort, think):
    assert sent(reasoning_effort=effort)["think"] == think


@pytest.mark.parametrize("effort", ["xhigh", "max"])
def test_a_server_that_does_not_know_max_is_told_high(effort):
    assert sent(reasoning_effort=effort, knows_max=False)["think"] == "high"


def test_an_effort_for_a_model_that_does_not_think_is_dropped_and_named():
    found = rendered(capabilities=frozenset({"chat"}), reasoning_effort="high")
    assert (b'"think"' in found.body, found.dropped) == (False, ("reasoning_effort",))


def test_no_thinking_is_asked_for_even_of_a_model_that_may_not_think():
    assert sent(capabilities=None, reasoning_effort="none")["think"] is False


def test_thinking_that_a_model_cannot_do_is_named_when_the_client_wanted_it():
    assert rendered(capabilities=frozenset({"chat"}), think=True).dropped == ("think",)


def test_an_unknown_effort_is_refused():
    assert refused(reasoning_effort="huge").param == "reasoning_effort"


@pytest.mark.parametrize(
    ("given_text", "as_sent"), [("300", 300), ("-1", -1), ("0", 0), ("5m", "5m"), (7, 7), ("1.5", 1.5), (0, 0)]
)
def test_a_keep_alive_of_bare_digits_is_a_number(given_text, as_sent):
    assert sent(keep_alive=given_text)["keep_alive"] == as_sent


def test_options_stand_in_their_order_of_right():
    profile = Profile(options={"temperature": 0.1, "top_k": 1, "stop": "a", "options": {"top_p": 0.1, "min_p": 0.1}})
    found = sent(profile, options={"top_p": 0.2, "temperature": 0.2, "mirostat": 1}, temperature=0.3)
    assert found["options"] == {
        "temperature": 0.3,
        "top_k": 1,
        "stop": ["a"],
        "top_p": 0.2,
        "min_p": 0.1,
        "mirostat": 1,
    }


def test_the_context_of_an_alias_is_pinned_and_the_clients_wish_named():
    found = rendered(Profile(context_length=4096), options={"num_ctx": 8192})
    assert (json.loads(found.body)["options"]["num_ctx"], found.dropped) == (4096, ("num_ctx",))


@pytest.mark.parametrize(("asked", "sent_limit"), [(None, 100), (50, 50), (500, 100), (-1, 100)])
def test_no_client_passes_the_limit_of_an_alias(asked, sent_limit):
    assert sent(Profile(max_tokens=100), max_tokens=asked)["options"]["num_predict"] == sent_limit


def test_options_that_are_no_object_are_refused():
    assert refused(options="fast").param == "options"


def test_an_alias_may_allow_truncation():
    assert sent(Profile(options={"truncate": True}))["truncate"] is True
    assert sent(Profile(truncate=True))["truncate"] is True


def test_a_schema_as_deep_as_any_request_may_be_is_rendered():
    deep = '{"properties":{"a":' * 60 + "1" + "}}" * 60
    assert rendered(tools=[{"type": "function", "function": {"name": "f", "parameters": json.loads(deep)}}]).body


@given(
    st.lists(
        st.tuples(st.sampled_from(["system", "developer", "user", "assistant", "tool"]), st.lists(texts, max_size=3)),
        min_size=1,
        max_size=6,
    )
)
def test_each_message_stays_one_message_with_all_its_text(turns):
    messages = [{"role": role, "content": [{"type": "text", "text": text} for text in parts]} for role, parts in turns]
    found = sent(messages=messages)["messages"]
    assert [message["content"] for message in found] == ["\n".join(parts) for _, parts in turns]


def embed(profile: Profile | None = None, **fields: Any) -> ollama.Rendered:
    body = msgspec.json.encode({"model": "e", **fields})
    return ollama.render_embed(openai_embeddings.parse_request(body), "e:v1", profile or Profile())


def test_embedding_fields_without_a_place_are_named():
    assert embed(input="x", user="u", encoding_format="base64", dimensions=2).dropped == ("user",)


def test_an_embedding_request_carries_the_dimensions_and_the_aliases_options():
    profile = Profile(options={"keep_alive": "60", "options": {"num_thread": 2}}, context_length=512)
    found = json.loads(embed(profile, input=["x"], dimensions=2).body)
    assert (found["dimensions"], found["keep_alive"]) == (2, 60)
    assert found["options"] == {"num_thread": 2, "num_ctx": 512}


def test_an_over_long_embedding_input_is_an_error_rather_than_cut():
    assert json.loads(embed(input="x").body)["truncate"] is False


def test_invalid_parameters_are_not_retried_elsewhere():
    assert not InvalidParameter("x").retryable

"""Requests as Claude takes them: the rules that the golden cases do not show."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.canonical.request import Profile
from router.dialects import openai_chat
from router.dialects.anthropic_messages import Rendered, counting, render_request, traits_of
from router.errors import BadRequest, InvalidParameter, UnsupportedParameter, UnsupportedValue

SONNET, OPUS, HAIKU, OLD = "claude-sonnet-5", "claude-opus-5-5", "claude-haiku-5-5", "claude-haiku-4-5"
USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def rendered(model: str = SONNET, *, profile: Profile | None = None, **fields: Any) -> Rendered:
    body = json.dumps({"model": "shown", "messages": [USER], **fields}).encode()
    return render_request(openai_chat.parse_request(body), model, profile or Profile(), traits=traits_of(model))


def sent(model: str = SONNET, *, profile: Profile | None = None, **fields: Any) -> Any:
    return json.loads(rendered(model, profile=profile, **fields).body)


def turns(*messages: Any, model: str = SONNET) -> Any:
    return sent(model, messages=list(messages), tools=[TOOL])["messages"]


def call(*ids: str, arguments: str = "{}", content: str | None = None) -> dict[str, Any]:
    calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": arguments}} for one in ids]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def result(call_id: str | None, content: Any = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def ids(turn: Any, key: str) -> list[str]:
    return [block[key] for block in turn["content"] if key in block]


def test_results_come_in_the_order_of_their_calls_and_before_any_text():
    _, _, answer = turns(USER, call("a", "b"), {"role": "user", "content": "wait"}, result("b"), result("a"))
    assert ids(answer, "tool_use_id") == ["a", "b"]
    assert answer["content"][-1] == {"type": "text", "text": "wait"}


def test_a_call_that_was_never_answered_gets_a_result_that_says_so():
    _, _, answer = turns(USER, call("a", "b"), result("b"), USER)
    missing, given, text = answer["content"]
    assert (missing["tool_use_id"], missing["is_error"], given["content"]) == ("a", True, "ok")
    assert text["text"] == "hi"


def test_a_call_at_the_end_is_answered_too():
    assert ids(turns(USER, call("a"))[-1], "tool_use_id") == ["a"]


def test_two_assistant_turns_in_a_row_are_one_unless_calls_lie_between():
    assert [turn["role"] for turn in turns(USER, {"role": "assistant", "content": "a"},
                                           {"role": "assistant", "content": "b"}, USER)] == [
        "user", "assistant", "user"
    ]  # fmt: skip
    assert [turn["role"] for turn in turns(USER, call("a"), {"role": "assistant", "content": "b"}, USER)] == [
        "user", "assistant", "user", "assistant", "user"
    ]  # fmt: skip


@pytest.mark.parametrize("strange", ["call:1/x", "é", "a b", "functions.f:0", "x" * 60 + "!"])
def test_an_id_that_claude_refuses_becomes_another_on_both_sides(strange):
    _, asked, answer = turns(USER, call(strange), result(strange))
    (use,), (back,) = ids(asked, "id"), ids(answer, "tool_use_id")
    assert use == back
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", use)


def test_ids_that_are_missing_or_the_same_are_told_apart():
    _, asked, answer = turns(USER, call("", ""), result(None, "one"), result(None, "two"))
    assert ids(asked, "id") == ids(answer, "tool_use_id")
    assert len(set(ids(asked, "id"))) == 2
    assert ids(answer, "content") == ["one", "two"]
    _, asked, answer = turns(USER, call("same", "same"), result("same", "one"), result("same", "two"))
    assert ids(asked, "id") == ids(answer, "tool_use_id") == ["same", "same_1"]


def test_a_function_role_answers_its_function_call():
    asked = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"x":1}'}}
    _, use, answer = turns(USER, asked, {"role": "function", "name": "f", "content": "ok"})
    assert ids(use, "id") == ids(answer, "tool_use_id") == ["call_f"]


def test_a_tool_result_may_hold_an_image():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    (answer,) = turns(USER, call("a"), result("a", [{"type": "text", "text": "see"}, image]))[-1]["content"]
    assert [block["type"] for block in answer["content"]] == ["text", "image"]


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([{"role": "assistant", "content": "hi"}, USER], UnsupportedValue),
        ([{"role": "system", "content": "only"}], UnsupportedValue),
        ([{"role": "user", "content": " \n"}], UnsupportedValue),
        ([USER, result("nobody")], UnsupportedValue),
        ([USER, call("a"), result("a"), result("a")], UnsupportedValue),
        ([USER, call("a", arguments="[1]"), result("a")], InvalidParameter),
        ([USER, call("a", arguments="{"), result("a")], InvalidParameter),
        ([{"role": "critic", "content": "hm"}], UnsupportedParameter),
        ([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}], UnsupportedParameter),
        ([{"role": "user", "content": [{"type": "file", "file": {"file_id": "x"}}]}], UnsupportedParameter),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "file:///x"}]}], InvalidParameter),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/bmp;base64,AA"}]}],
         UnsupportedParameter),
    ],
)  # fmt: skip
def test_what_claude_would_refuse_is_refused_before(messages, error):
    with pytest.raises(error):
        sent(messages=messages)


def test_a_pdf_is_a_document():
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}}
    (block,) = sent(messages=[{"role": "user", "content": [file]}])["messages"][0]["content"]
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}
    assert block == {"type": "document", "source": source, "title": "a.pdf"}


def test_cache_markers_stay_where_the_client_put_them():
    marked = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    openais = {"type": "text", "text": "longer", "prompt_cache_breakpoint": {"mode": "explicit"}}
    body = sent(messages=[{"role": "system", "content": [marked]}, {"role": "user", "content": [openais]}])
    assert body["system"] == [marked]
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert sent(tools=[{**TOOL, "cache_control": {"type": "ephemeral"}}])["tools"][0]["cache_control"]


def test_an_older_model_goes_on_with_an_assistants_message_without_trailing_space():
    assert sent(OLD, messages=[USER, {"role": "assistant", "content": "So \n"}])["messages"][-1]["content"] == "So"


@pytest.mark.parametrize(
    ("messages", "inside"),
    [
        ([USER, {"role": "system", "content": "B"}, {"role": "assistant", "content": "a"}, USER], True),
        ([USER, {"role": "system", "content": "B"}, USER], False),
        ([USER, {"role": "assistant", "content": "a"}, {"role": "system", "content": "B"}, USER], False),
        ([USER, {"role": "system", "content": "B"}, {"role": "developer", "content": "C"}], True),
        ([USER, call("a"), result("a"), {"role": "system", "content": "B"}], True),
    ],
)
def test_a_later_system_message_stays_only_where_it_may_stand(messages, inside):
    body = sent("claude-opus-5", messages=messages, tools=[TOOL])
    assert ("system" in [turn["role"] for turn in body["messages"]]) is inside
    assert ("system" in body) is not inside


def test_tools_of_the_history_are_defined_though_none_may_be_called():
    body = sent(messages=[USER, call("a"), result("a")])
    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    assert body["tool_choice"] == {"type": "none"}


def test_a_tools_schema_is_the_clients_own_bytes():
    schema = '{"type": "object",  "properties": {"b": {"maximum": 1e2}, "a": {}}}'
    body = (
        '{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"function":{"name":"f","parameters":%s}}]}'
    )
    request = openai_chat.parse_request((body % schema).encode())
    assert schema.encode() in render_request(request, SONNET, Profile(), traits=traits_of(SONNET)).body


def test_only_allowed_tools_are_offered():
    other = {"type": "function", "function": {"name": "g"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": name}} for name in ("f", "g")]}
    tools = [TOOL, other, {"type": "function", "function": {"name": "h"}}]
    body = sent(tools=tools, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool["name"] for tool in body["tools"]] == ["f", "g"]
    assert body["tool_choice"] == {"type": "any"}


def test_a_strict_alias_refuses_to_force_a_model_that_cannot_be_forced():
    strict = Profile(options={"unforceable_tool_choice": "reject"})
    with pytest.raises(UnsupportedValue) as caught:
        sent(OPUS, profile=strict, tools=[TOOL], tool_choice="required")
    assert caught.value.param == "tool_choice"
    assert rendered(OPUS, tools=[TOOL], tool_choice="required").dropped == ("tool_choice",)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, "audio"),
        ({"web_search_options": {"x": 1}}, "web_search_options"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
    ],
)
def test_what_leaving_out_would_falsify_is_refused(fields, param):
    with pytest.raises(UnsupportedParameter) as caught:
        sent(**fields)
    assert caught.value.param == param


def test_what_has_no_place_is_named():
    found = rendered(
        temperature=1, top_p=0.5, seed=1, top_k=3, store=True, user="u", stop=["", "END"], metadata={"a": 1}
    )
    assert set(found.dropped) == {"temperature", "top_p", "seed", "top_k", "store", "stop", "metadata"}
    body = json.loads(found.body)
    assert (body["stop_sequences"], body["metadata"]) == (["END"], {"user_id": "u"})


def test_an_end_user_is_named_by_the_first_of_three_fields():
    assert sent(safety_identifier="s", user="u")["metadata"] == {"user_id": "s"}
    found = rendered(metadata={"user_id": "m"})
    assert (json.loads(found.body)["metadata"], found.dropped) == ({"user_id": "m"}, ())


@pytest.mark.parametrize(
    ("asked", "profile", "expected"),
    [
        (None, Profile(), 8192),
        (None, Profile(max_tokens=500), 500),
        (None, Profile(options={"default_max_tokens": 700}), 700),
        (None, Profile(options={"max_tokens": 600}), 600),
        (100, Profile(max_tokens=500), 100),
        (1000, Profile(max_tokens=500), 500),
        (10**9, Profile(), 64_000),
        (-1, Profile(), 8192),
    ],
)
def test_max_tokens_is_always_said_and_never_more_than_the_model_can(asked, profile, expected):
    assert sent(OLD, profile=profile, max_tokens=asked)["max_tokens"] == expected


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "level"),
    [
        (SONNET, "minimal", "adaptive", "low"),
        (SONNET, "xhigh", "adaptive", "xhigh"),
        (SONNET, "none", "disabled", None),
        (HAIKU, "none", "disabled", None),
        (OPUS, "none", None, "low"),
        ("claude-opus-4-8", "none", None, None),
        ("claude-opus-4-6", "xhigh", "adaptive", "high"),
        ("claude-opus-4-5", "max", "enabled", "high"),
        ("claude-opus-4-5-20251101", "low", "enabled", "low"),
        ("claude-mythos-preview", "high", "adaptive", None),
        (OLD, "none", None, None),
    ],
)
def test_effort_is_said_in_the_words_that_the_model_accepts(model, effort, thinking, level):
    body = sent(model, reasoning_effort=effort, max_tokens=50_000)
    assert body.get("thinking", {}).get("type") == thinking
    assert body.get("output_config", {}).get("effort") == level


@pytest.mark.parametrize(("most", "budget"), [(50_000, 16_384), (8_000, 4_000), (1_500, 1_024), (1_024, None)])
def test_a_budget_of_thoughts_leaves_room_for_the_answer(most, budget):
    assert sent(OLD, reasoning_effort="high", max_tokens=most).get("thinking", {}).get("budget_tokens") == budget


def test_a_budget_gives_way_to_a_forced_tool_and_to_reasoning_that_is_lost():
    fields = {"reasoning_effort": "high", "max_tokens": 30_000, "tools": [TOOL]}
    found = rendered(OLD, **fields, tool_choice="required")
    assert ("thinking" in json.loads(found.body), found.dropped) == (False, ("reasoning_effort",))
    loop = [USER, call("a"), result("a")]
    assert "thinking" not in sent(OLD, **fields, messages=loop)
    signed = {**call("a"), "thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "S"}]}
    assert "thinking" in sent(OLD, **fields, messages=[USER, signed, result("a")])


def test_an_unknown_effort_is_refused():
    with pytest.raises(InvalidParameter):
        sent(reasoning_effort="enormous")


def test_an_alias_may_think_by_default_and_the_client_decides():
    profile = Profile(options={"thinking": {"type": "adaptive", "display": "summarized"}})
    assert sent(profile=profile)["thinking"]["display"] == "summarized"
    assert sent(profile=profile, reasoning_effort="none")["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize(
    ("tier", "expected"), [("auto", "auto"), ("default", "standard_only"), ("flex", "standard_only")]
)
def test_a_service_tier_is_translated(tier, expected):
    assert sent(service_tier=tier)["service_tier"] == expected


def test_a_service_tier_that_claude_lacks_is_named():
    assert rendered(service_tier="scale").dropped == ("service_tier",)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object", "additionalProperties": True}, {"type": "object", "properties": {},
                                                            "additionalProperties": False}),
        ({"type": ["string", "null"], "description": "d"}, {"description": "d", "anyOf": [{"type": "string"},
                                                                                           {"type": "null"}]}),
        ({"type": ["string", "null"], "enum": ["a", None]}, {"enum": ["a", None]}),
        ({"type": "array", "minItems": 1, "items": {"type": "integer", "maximum": 3}},
         {"type": "array", "minItems": 1, "items": {"type": "integer", "description": "{maximum: 3}"}}),
        ({"type": "array", "minItems": 2}, {"type": "array", "description": "{minItems: 2}"}),
        ({"oneOf": [{"type": "string", "format": "email"}, {"type": "string", "format": "odd", "description": "d"}]},
         {"anyOf": [{"type": "string", "format": "email"}, {"type": "string", "description": "d\n\n{format: odd}"}]}),
        ({"$defs": {"a": {"type": "object"}}, "$ref": "#/$defs/a"},
         {"$defs": {"a": {"type": "object", "properties": {}, "additionalProperties": False}}, "$ref": "#/$defs/a"}),
    ],
)  # fmt: skip
def test_a_schema_is_brought_to_what_claude_enforces(schema, expected):
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert sent(response_format=wanted)["output_config"]["format"]["schema"] == expected


def test_a_model_without_schemas_is_not_asked_for_one():
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    with pytest.raises(UnsupportedParameter):
        sent("claude-3-5-sonnet-20241022", response_format=wanted)


call_ids = st.sampled_from(["a", "b", "c:1", ""])
speech = st.sampled_from(["", " ", "text"])
histories = st.lists(
    st.one_of(
        st.builds(lambda text: {"role": "user", "content": text}, speech),
        st.builds(lambda text: {"role": "system", "content": text}, speech),
        st.builds(lambda text: {"role": "assistant", "content": text}, speech),
        st.builds(lambda one, two, text: call(one, two, content=text), call_ids, call_ids, speech),
        st.builds(result, call_ids),
    ),
    min_size=1,
    max_size=9,
)


@given(histories, st.sampled_from([SONNET, OPUS, OLD, "claude-opus-5"]))
def test_any_history_keeps_claudes_rules_or_is_refused(messages, model):
    try:
        found = turns(*messages, model=model)
    except BadRequest:
        return
    assert found[0]["role"] == "user"
    for before, turn, after in zip([None, *found], found, [*found[1:], None], strict=False):
        blocks = turn["content"] if isinstance(turn["content"], list) else [{"type": "text", "text": turn["content"]}]
        assert blocks
        assert before is None or before["role"] != turn["role"]
        assert all(block.get("text", "x").strip() for block in blocks)
        used = [block["id"] for block in blocks if block["type"] == "tool_use"]
        assert len(set(used)) == len(used)
        answered = ids(after, "tool_use_id") if used else []
        assert used == answered


ROOM = Profile(max_tokens=1_000, thinking_tokens=4_000)


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("claude-opus-4-6", {"reasoning_effort": "high"}, 5_000),
        ("claude-opus-4-6", {}, 1_000),
        ("claude-sonnet-5", {}, 5_000),
        ("claude-sonnet-5", {"reasoning_effort": "none"}, 1_000),
        ("claude-sonnet-5", {"max_tokens": 16}, 4_016),
    ],
)
def test_thinking_gets_its_own_room_where_there_will_be_some(model, fields, expected):
    assert sent(model, profile=ROOM, **fields)["max_tokens"] == expected


def test_a_model_with_a_thinking_budget_gets_the_aliases():
    found = sent("claude-haiku-4-5", profile=ROOM, reasoning_effort="low")
    assert (found["max_tokens"], found["thinking"]) == (5_000, {"type": "enabled", "budget_tokens": 4_000})


def test_no_room_is_made_beyond_what_the_model_can_say():
    profile = Profile(max_tokens=63_000, thinking_tokens=4_000)
    found = sent("claude-haiku-4-5", profile=profile, reasoning_effort="low", max_tokens=63_000)
    assert (found["max_tokens"], found["thinking"]["budget_tokens"]) == (64_000, 1_024)


def test_a_count_is_asked_for_with_all_that_is_counted():
    body = rendered(stream=True, stop="x", user="u", tools=[TOOL]).body
    counted = json.loads(counting(body))
    assert set(json.loads(body)) - set(counted) == {"max_tokens", "stream", "stop_sequences", "metadata"}
    assert {"messages", "model", "tools"} <= set(counted)

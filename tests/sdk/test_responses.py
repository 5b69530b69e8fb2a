"""`client.responses` of the official SDK, over every kind of backend."""

import json
from typing import Any

import openai
import pydantic
import pytest
from openai.types.responses import Response, ResponseStreamEvent

from tests.fakes import Faults
from tests.sdk.talk import HELLO, Talk, user

LONG = "word " * 4000
QUESTION = "What is the weather in Paris? Use the tool."
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"type": "function", "name": "get_weather", "description": "of a city", "parameters": SCHEMA}
PATCH: Any = {"type": "custom", "name": "apply_patch", "description": "patches"}
SHELL: Any = {"type": "local_shell"}
SPACE: Any = {"type": "namespace", "name": "mcp__weather", "description": "weather", "tools": [WEATHER]}
SEARCH: Any = {"type": "web_search"}


class City(pydantic.BaseModel):
    city: str


@pytest.fixture
def scripted(talk: Talk) -> Talk:
    """A talk with a backend that does as it is told."""
    if talk.fake is None:
        pytest.skip("a real model of this size cannot show it")
    return talk


def ask(talk: Talk, asked: Any = HELLO, **fields: Any) -> Response:
    return talk.client.responses.create(model=talk.model, input=asked, **fields)


def stream(talk: Talk, asked: Any = HELLO, **fields: Any) -> list[ResponseStreamEvent]:
    return list(talk.client.responses.create(model=talk.model, input=asked, stream=True, **fields))


def ended(events: list[ResponseStreamEvent]) -> Response:
    last = events[-1]
    assert last.type in {"response.completed", "response.incomplete", "response.failed"}
    return last.response


def messages_told(talk: Talk) -> list[dict[str, Any]]:
    return talk.told()["messages"]


def test_a_whole_answer_has_text_usage_and_an_id(talk: Talk) -> None:
    answer = ask(talk, instructions="Be brief.")
    assert answer.output_text
    assert answer.status in {"completed", "incomplete"}
    assert answer.id.startswith("resp_")
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0
    assert answer.model == talk.model


def test_a_stream_adds_up_to_its_last_event(talk: Talk) -> None:
    events = stream(talk)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == ended(events).output_text != ""
    assert {event.response.id for event in events if event.type in {"response.created", "response.in_progress"}} == {
        ended(events).id
    }


def test_the_stream_helper_assembles_an_answer(scripted: Talk) -> None:
    scripted.says("Hello to all of Paris.", thinking="Paris is a city")
    with scripted.client.responses.stream(model=scripted.model, input=HELLO) as events:
        kinds = [event.type for event in events]
        answer = events.get_final_response()
    assert answer.output_text == "Hello to all of Paris."
    assert kinds[-1] == "response.completed"


def test_thoughts_are_a_reasoning_item_before_the_message(scripted: Talk) -> None:
    scripted.says("It is 4.", thinking="two and two")
    for answer in (ask(scripted, reasoning={"effort": "high"}), ended(stream(scripted, reasoning={"effort": "high"}))):
        reasoning, message = answer.output
        assert reasoning.type == "reasoning"
        assert "".join(part.text for part in reasoning.summary) == "two and two"
        assert message.type == "message"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_tool_round_trip_ends_with_an_answer(scripted: Talk, streamed: bool) -> None:
    scripted.says("It is sunny.")
    asked = {"tools": [WEATHER], "tool_choice": "auto", "store": False}
    conversation: list[Any] = [{"role": "user", "content": QUESTION}]
    first = ended(stream(scripted, conversation, **asked)) if streamed else ask(scripted, conversation, **asked)
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    conversation += [*(item.model_dump(exclude_none=True) for item in first.output)]
    conversation.append({"type": "function_call_output", "call_id": call.call_id, "output": "sun"})
    last = ended(stream(scripted, conversation, **asked)) if streamed else ask(scripted, conversation, **asked)
    assert last.output_text == "It is sunny."


def test_a_tool_of_a_namespace_is_called_by_both_its_names(scripted: Talk) -> None:
    conversation: list[Any] = [{"role": "user", "content": QUESTION}]
    (call,) = ended(stream(scripted, conversation, tools=[SPACE])).output
    assert call.type == "function_call"
    assert (call.namespace, call.name) == ("mcp__weather", "get_weather")
    conversation += [call.model_dump(exclude_none=True)]
    conversation.append({"type": "function_call_output", "call_id": call.call_id, "output": "sun"})
    scripted.says("It is sunny.")
    assert ask(scripted, conversation, tools=[SPACE]).output_text == "It is sunny."


def test_custom_tools_and_the_shell_are_called_in_their_own_types(scripted: Talk) -> None:
    scripted.scripted(scripted.party.called("apply_patch", "local_shell"))
    custom, shell = ended(stream(scripted, QUESTION, tools=[PATCH, SHELL])).output
    assert custom.type == "custom_tool_call"
    assert json.loads(custom.input) == {"x": "apply_patch"}
    assert shell.type == "local_shell_call"
    conversation: list[Any] = [
        {"role": "user", "content": QUESTION},
        custom.model_dump(exclude_none=True),
        shell.model_dump(exclude_none=True),
        {"type": "custom_tool_call_output", "call_id": custom.call_id, "output": "done"},
        {"type": "local_shell_call_output", "id": shell.id, "call_id": shell.call_id, "output": "files"},
    ]
    assert scripted.fake is not None
    scripted.fake.reset()
    scripted.says("Both are done.")
    assert ask(scripted, conversation, tools=[PATCH, SHELL]).output_text == "Both are done."


def test_a_web_search_is_dropped_and_named(scripted: Talk) -> None:
    answer = ask(scripted, QUESTION, tools=[SEARCH, WEATHER])
    assert [item.type for item in answer.output if item.type != "reasoning"] == ["function_call"]
    assert "web_search" in scripted.dropped


def test_an_answer_can_be_gone_on_from_by_its_id(scripted: Talk) -> None:
    scripted.says("My name is Fake.")
    first = ask(scripted, "Who are you?", instructions="Be brief.")
    second = ended(stream(scripted, "And how old?", previous_response_id=first.id))
    ask(scripted, "Where from?", previous_response_id=second.id)
    told = [(message["role"], message["content"]) for message in messages_told(scripted)]
    assert told == [
        ("user", "Who are you?"),
        ("assistant", "My name is Fake."),
        ("user", "And how old?"),
        ("assistant", "My name is Fake."),
        ("user", "Where from?"),
    ]


def test_a_tool_loop_can_be_gone_on_from_by_its_id(scripted: Talk) -> None:
    scripted.says("It is sunny.", thinking="I look")
    first = ask(scripted, QUESTION, tools=[WEATHER])
    (call,) = [item for item in first.output if item.type == "function_call"]
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
    answer = ask(scripted, [result], tools=[WEATHER], previous_response_id=first.id)
    assert answer.output_text == "It is sunny."
    assert answer.previous_response_id == first.id


def test_an_answer_that_was_not_to_be_kept_cannot_be_gone_on_from(talk: Talk) -> None:
    first = ask(talk, store=False, max_output_tokens=8)
    with pytest.raises(openai.BadRequestError) as caught:
        ask(talk, previous_response_id=first.id)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_an_item_can_be_referred_to(scripted: Talk) -> None:
    scripted.says("My name is Fake.")
    (said,) = ask(scripted, "Who are you?").output
    reference: Any = {"type": "item_reference", "id": said.id}
    ask(scripted, [{"role": "user", "content": "hi"}, reference, {"role": "user", "content": "go on"}])
    assert [message["content"] for message in messages_told(scripted)] == ["hi", "My name is Fake.", "go on"]


def test_a_schema_is_parsed_into_its_class(scripted: Talk) -> None:
    scripted.says('{"city": "Paris"}')
    answer = scripted.client.responses.parse(model=scripted.model, input=HELLO, text_format=City)
    assert answer.output_parsed == City(city="Paris")
    assert scripted.was_told("object", "type")


def test_an_output_limit_reaches_the_backend_and_makes_it_incomplete(talk: Talk) -> None:
    talk.says("one two three four five six seven eight nine ten")
    for answer in (ask(talk, max_output_tokens=3), ended(stream(talk, max_output_tokens=3))):
        assert answer.status == "incomplete"
        assert answer.incomplete_details
        assert answer.incomplete_details.reason == "max_output_tokens"


def test_tokens_can_be_counted_beforehand(talk: Talk) -> None:
    few = talk.client.responses.input_tokens.count(model=talk.model, input="hi").input_tokens
    many = talk.client.responses.input_tokens.count(model=talk.model, input="hi there " * 50).input_tokens
    assert 0 < few < many


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_an_unknown_model_is_a_not_found_error(talk: Talk, streamed: bool) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        talk.client.responses.create(model="nobody-has-this", input="hi", stream=streamed)
    assert caught.value.code == "model_not_found"


def test_a_rate_limit_says_when_to_come_back(scripted: Talk) -> None:
    assert scripted.fake is not None
    scripted.fake.faults = Faults(status=429, headers={"Retry-After": "7"})
    with pytest.raises(openai.RateLimitError) as caught:
        stream(scripted)
    assert caught.value.response.headers["retry-after"] == "7"


def test_a_stream_that_breaks_off_fails_and_is_not_kept(scripted: Talk) -> None:
    assert scripted.fake is not None
    scripted.says("one two three four five six")
    scripted.fake.faults = Faults(drop_after=4)
    events = stream(scripted)
    assert [event.type for event in events[-2:]] == ["error", "response.failed"]
    failed = ended(events)
    assert failed.error
    assert failed.error.code in {"stream_broken", "upstream_disconnected"}
    scripted.fake.faults = Faults()
    with pytest.raises(openai.BadRequestError):
        ask(scripted, previous_response_id=failed.id)


def test_a_responses_body_at_the_chat_completions_is_answered_in_chat_chunks(talk: Talk) -> None:
    """What Cursor does in its agent mode."""
    body: Any = {
        "model": talk.model, "input": user(HELLO), "stream": True, "stream_options": {"include_usage": True},
        "reasoning": {"effort": None}, "tool_choice": "auto", "store": False,
    }  # fmt: skip
    chunks = talk.client.post("/chat/completions", body=body, cast_to=dict[str, Any], stream=True,
                              stream_cls=openai.Stream[dict[str, Any]])  # fmt: skip
    told: list[Any] = list(chunks)
    assert "".join(choice["delta"].get("content") or "" for chunk in told for choice in chunk["choices"])
    assert {chunk["object"] for chunk in told} == {"chat.completion.chunk"}
    assert told[-1]["usage"]["total_tokens"] > 0

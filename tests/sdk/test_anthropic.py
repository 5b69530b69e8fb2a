"""The official SDK of Anthropic over every kind of backend."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest

from tests.fakes import Faults, Scripted
from tests.running import NO_TLS
from tests.sdk.kinds import FAKES, Kind
from tests.sdk.stage import KEY, Stage, chat_alias

WEATHER: Any = {
    "name": "get_weather",
    "description": "Current weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HELLO: Any = [{"role": "user", "content": "hello"}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Talk:
    """A client of Anthropic's in front of one backend."""

    def __init__(self, stage: Stage, kind: Kind) -> None:
        self.fake = stage.fakes[kind.name]
        self.kind = kind
        self.model = chat_alias(kind)
        self.client = anthropic.Anthropic(
            api_key=KEY, base_url=stage.url, max_retries=0, timeout=20, http_client=httpx2.Client(verify=NO_TLS)
        )

    def create(self, **fields: Any) -> Any:
        return self.client.messages.create(**{"model": self.model, "max_tokens": 64, "messages": HELLO, **fields})

    def streamed(self, **fields: Any) -> Any:
        """The message that the SDK makes of a stream."""
        asked = {"model": self.model, "max_tokens": 64, "messages": HELLO, **fields}
        with self.client.messages.stream(**asked) as stream:
            return stream.get_final_message()

    def ask(self, *, stream: bool, **fields: Any) -> Any:
        return self.streamed(**fields) if stream else self.create(**fields)


@pytest.fixture(params=FAKES, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture
def talk(on_stage: Stage, kind: Kind) -> Iterator[Talk]:
    talk = Talk(on_stage, kind)
    talk.fake.reset()
    with talk.client:
        yield talk
    talk.fake.reset()
    talk.fake.reply, talk.fake.thinking = "Hello from the fake.", None


both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@both
def test_plain_chat_has_its_text_its_end_and_its_cost(talk: Talk, stream: bool) -> None:
    message = talk.ask(stream=stream)
    assert [(block.type, block.text) for block in message.content] == [("text", "Hello from the fake.")]
    assert (message.stop_reason, message.model, message.role) == ("end_turn", talk.model, "assistant")
    assert message.usage.output_tokens == 4
    assert message.usage.input_tokens > 0


@both
def test_a_tool_round_trip_ends_in_text(talk: Talk, stream: bool) -> None:
    messages: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = talk.ask(stream=stream, messages=messages, tools=[WEATHER])
    assert first.stop_reason == "tool_use"
    (call,) = [block for block in first.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("get_weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "sun"}]}
    messages += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": [result]},
    ]
    second = talk.ask(stream=stream, messages=messages, tools=[WEATHER])
    assert (second.content[-1].text, second.stop_reason) == ("Hello from the fake.", "end_turn")
    assert "sun" in json.dumps(talk.fake.requests[-1].json)


@both
def test_thinking_comes_before_the_text(talk: Talk, stream: bool) -> None:
    talk.fake.thinking = "Let me think."
    message = talk.ask(stream=stream, thinking={"type": "adaptive"}, output_config={"effort": "high"})
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking == "Let me think."


def test_thinking_goes_back_as_its_own_kind_of_model_wants_it(talk: Talk) -> None:
    talk.fake.thinking = "Let me think."
    first = talk.create(thinking={"type": "adaptive"}, output_config={"effort": "high"})
    turn = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]}
    assert talk.create(messages=[*HELLO, turn, *HELLO]).content[-1].text == "Hello from the fake."
    (sent,) = [turn for turn in talk.fake.requests[-1].json["messages"] if turn["role"] == "assistant"]
    told = sent["content"][0] if talk.kind.flavour == "claude" else sent
    field = {"claude": "thinking", "ollama": "thinking"}.get(talk.kind.flavour, "reasoning_content")
    assert told[field] == "Let me think."


def test_an_image_reaches_the_model(talk: Talk) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    talk.create(messages=[{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}])
    assert PIXEL in talk.fake.requests[-1].body.decode()


@both
def test_an_answer_in_a_schema_is_asked_for_in_the_backends_own_words(talk: Talk, stream: bool) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    talk.ask(stream=stream, output_config={"format": {"type": "json_schema", "schema": schema}})
    sent = talk.fake.requests[-1].json
    found = {
        "ollama": lambda: sent["format"],
        "claude": lambda: sent["output_config"]["format"]["schema"],
    }.get(talk.kind.flavour, lambda: sent["response_format"]["json_schema"]["schema"])
    assert found() == schema


def test_tokens_are_counted(talk: Talk) -> None:
    counted = talk.client.messages.count_tokens(model=talk.model, messages=HELLO, system="Be brief.", tools=[WEATHER])
    assert counted.input_tokens > 0
    assert talk.fake.requests == []


def test_every_model_is_listed_and_found(talk: Talk) -> None:
    models = list(talk.client.models.list(limit=2))
    assert talk.model in [model.id for model in models]
    found = talk.client.models.retrieve(talk.model)
    assert (found.id, found.type, found.lifecycle) == (talk.model, "model", "active")


def test_an_unknown_model_is_not_found(talk: Talk) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        talk.create(model="nobody-has-this")
    assert caught.value.type == "not_found_error"
    assert caught.value.request_id
    assert caught.value.body["request_id"] == caught.value.request_id


def test_a_wrong_key_is_refused_in_either_header(talk: Talk) -> None:
    for wrong in ({"auth_token": "wrong", "api_key": None}, {"api_key": "wrong"}):
        with pytest.raises(anthropic.AuthenticationError) as caught:
            talk.client.with_options(**wrong).messages.create(model=talk.model, max_tokens=9, messages=HELLO)
        assert caught.value.type == "authentication_error"


@both
def test_a_limit_of_the_backend_says_when_to_come_back(talk: Talk, stream: bool) -> None:
    talk.fake.script(
        "/v1/messages" if talk.kind.flavour == "claude" else "/v1/chat/completions",
        Scripted(status=429, headers={"retry-after": "7"}, lines=[{"error": {"message": "slow down"}}]),
    )
    talk.fake.script("/api/chat", Scripted(status=429, headers={"retry-after": "7"}, lines=[{"error": "slow down"}]))
    with pytest.raises(anthropic.RateLimitError) as caught:
        talk.ask(stream=stream)
    assert caught.value.type == "rate_limit_error"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 7


def test_a_stream_that_breaks_is_never_taken_for_whole(talk: Talk) -> None:
    talk.fake.faults = Faults(drop_after=3)
    with pytest.raises(anthropic.APIStatusError) as caught:
        talk.streamed()
    assert caught.value.type in {"api_error", "overloaded_error"}


def test_the_clients_own_retry_gets_the_answer(talk: Talk) -> None:
    talk.fake.faults = Faults(status=500, times=1)
    client = talk.client.with_options(max_retries=2)
    assert client.messages.create(model=talk.model, max_tokens=9, messages=HELLO).stop_reason in {
        "end_turn",
        "max_tokens",
    }


def test_the_beta_client_is_served_as_well(talk: Talk) -> None:
    message = talk.client.beta.messages.create(
        model=talk.model,
        max_tokens=64,
        messages=HELLO,
        betas=["context-management-2025-06-27", "nobody-knows-this-2099-01-01"],
        context_management={"edits": []},
    )
    assert message.content[0].text == "Hello from the fake."

"""Ollama's official Python client over every kind of backend."""

from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from tests.fakes import Faults
from tests.running import NO_TLS
from tests.sdk.mirrored import HEADERS, PNG, QUICK, client_of, get_weather, scripted
from tests.sdk.talk import HELLO, Talk, user

pytestmark = pytest.mark.anyio
ASKING = "What is the weather in Paris? Use the tool."


@pytest.fixture
def client(talk: Talk) -> Iterator[ollama.Client]:
    yield from client_of(talk)


def test_chat(talk: Talk, client: ollama.Client) -> None:
    answer = client.chat(talk.model, user(HELLO), options=QUICK)
    assert answer.message.content
    assert (answer.model, answer.done) == (talk.model, True)
    assert answer.done_reason in {"stop", "length"}
    assert (answer.prompt_eval_count or 0) > 0
    assert (answer.eval_count or 0) > 0
    assert (answer.total_duration or 0) > 0


def test_chat_as_a_stream(talk: Talk, client: ollama.Client) -> None:
    *parts, last = client.chat(talk.model, user(HELLO), options=QUICK, stream=True)
    assert "".join(part.message.content or "" for part in parts)
    assert last.done
    assert (last.eval_count or 0) > 0
    assert not any(part.done for part in parts)


async def test_chat_without_blocking(talk: Talk, anyio_backend: str) -> None:
    client = ollama.AsyncClient(talk.stage.url, headers=HEADERS, verify=NO_TLS)
    try:
        said = [part async for part in await client.chat(talk.model, user(HELLO), options=QUICK, stream=True)]
    finally:
        await client._client.aclose()
    assert said[-1].done


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_and_answered(talk: Talk, client: ollama.Client, stream: bool) -> None:
    scripted(talk)
    messages: list[Any] = user(ASKING)
    asked: Any = client.chat(talk.model, messages, tools=[get_weather], stream=stream)
    said = [part.message for part in asked] if stream else [asked.message]
    (call,) = [call for message in said for call in message.tool_calls or ()]
    assert call.function.name == "get_weather"
    assert set(call.function.arguments) == {"city"}
    result = {"role": "tool", "content": get_weather(**call.function.arguments), "tool_name": "get_weather"}
    told = {"role": "assistant", "tool_calls": [call]}
    answer = client.chat(talk.model, [*messages, told, result], tools=[get_weather])
    assert answer.message.content
    assert not answer.message.tool_calls


def test_thinking(talk: Talk, client: ollama.Client) -> None:
    scripted(talk).says("Paris.", thinking="A capital.")
    answer = client.chat(talk.model, user(HELLO), think=True)
    assert (answer.message.thinking, answer.message.content) == ("A capital.", "Paris.")


def test_images(talk: Talk, client: ollama.Client) -> None:
    told = scripted(talk)
    client.chat(talk.model, [{"role": "user", "content": "What is this?", "images": [PNG]}])
    assert PNG in str(told.told())


def test_a_schema(talk: Talk, client: ollama.Client) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    client.chat(talk.model, user(HELLO), format=schema, options=QUICK)
    assert talk.was_told(schema["properties"], "properties")


def test_generate(talk: Talk, client: ollama.Client) -> None:
    whole = client.generate(talk.model, HELLO, system="Be brief.", options=QUICK)
    assert whole.response
    *parts, last = client.generate(talk.model, HELLO, options=QUICK, stream=True)
    assert "".join(part.response for part in parts)
    assert last.done


def test_loading_and_letting_go(talk: Talk, client: ollama.Client) -> None:
    assert client.generate(talk.model, keep_alive="5m").done_reason == "load"
    assert client.chat(talk.model, [], keep_alive=0).done_reason == "unload"


def test_embeddings(talk: Talk, client: ollama.Client) -> None:
    if talk.kind.embedding is None:
        with pytest.raises(ollama.ResponseError) as refused:
            client.embed(talk.embedding_model, ["a cat"])
        assert refused.value.status_code == 400
        return
    found = client.embed(talk.embedding_model, ["a cat", "tax law"])
    assert len(found.embeddings) == 2
    one = client.embeddings(talk.embedding_model, "a cat").embedding
    assert [round(number, 4) for number in one] == [round(number, 4) for number in found.embeddings[0]]


def test_models_are_listed_shown_and_seen_running(talk: Talk, client: ollama.Client) -> None:
    assert f"{talk.model}:latest" in {model.model for model in client.list().models}
    shown = client.show(talk.model)
    assert "completion" in (shown.capabilities or ())
    assert shown.modelinfo
    running = {model.model for model in client.ps().models}
    assert (f"{talk.model}:latest" in running) == (talk.kind.flavour in {"ollama", "llama_cpp"})


def test_errors(talk: Talk, client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="nobody") as raised:
        client.chat("nobody-has-this", user(HELLO))
    assert raised.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="not found") as raised:
        client.show("nobody-has-this")
    assert raised.value.status_code == 404


def test_an_error_in_the_middle_of_a_stream(talk: Talk, client: ollama.Client) -> None:
    fake = scripted(talk).fake
    assert fake is not None
    fake.faults = Faults(drop_after={"ollama": 1, "claude": 3}.get(talk.kind.flavour, 2))
    with pytest.raises(ollama.ResponseError, match="closed the connection"):
        list(client.chat(talk.model, user(HELLO), stream=True))


def test_a_wrong_key(talk: Talk) -> None:
    client = ollama.Client(talk.stage.url, headers={"Authorization": "Bearer wrong"}, verify=NO_TLS)
    try:
        with pytest.raises(ollama.ResponseError, match="API key") as raised:
            client.list()
    finally:
        client._client.close()
    assert raised.value.status_code == 401

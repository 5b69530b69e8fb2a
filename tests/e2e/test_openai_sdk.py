"""The official OpenAI SDK against a running router over a real llama.cpp."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from router import embedded
from tests.e2e.real_llama import start_real_llama
from tests.e2e.serving import Served, served

pytestmark = pytest.mark.skipif(not embedded.available(), reason="needs the extra `demo`")

KEY = "a-key-for-the-tests"
HELLO: Any = [{"role": "user", "content": "Say hello to Paris in one short sentence."}]
EMBEDDING_WIDTH = 576


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    chat = start_real_llama("smollm2", context=2048, parallel=2)
    embed = start_real_llama("smollm2-embed", embedding=True, context=1024, parallel=1)
    config = {
        "auth": {"api_keys": [KEY]},
        "backends": {
            "chat": {"type": "llama_cpp", "url": chat.url},
            "vectors": {"type": "llama_cpp", "url": embed.url},
            "gone": {"type": "openai", "url": "http://127.0.0.1:9", "models": ["m"]},
        },
        "models": {
            "gpt-4o": {"targets": ["gone/m", "chat/smollm2"], "max_tokens": 64, "tags": ["code"]},
            "text-embedding-3-small": {"targets": ["vectors/smollm2-embed"], "tags": ["embedding"]},
        },
        "routing": {"tasks": {"code": "gpt-4o"}},
    }
    try:
        with served(tmp_path_factory.mktemp("router"), config) as running:
            yield running
    finally:
        chat.stop()
        embed.stop()


@pytest.fixture
def client(router: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{router.url}/v1", api_key=KEY, max_retries=0, timeout=60) as sdk:
        yield sdk


def test_a_chat_completion_is_answered_under_the_alias(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO, max_tokens=12)
    answer = raw.parse()
    assert answer.model == "gpt-4o"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 12
    assert raw.headers["x-turnout-backend"] == "chat"
    assert answer._request_id


def test_a_stream_adds_up_to_the_whole_answer(client: openai.OpenAI) -> None:
    settings: Any = {"model": "gpt-4o", "messages": HELLO, "max_tokens": 12, "temperature": 0, "seed": 1}
    whole = client.chat.completions.create(**settings)
    chunks = list(client.chat.completions.create(stream=True, **settings))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert {chunk.model for chunk in chunks} == {"gpt-4o"}
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_carries_usage_when_asked(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o", messages=HELLO, max_tokens=5, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert 0 < chunks[-1].usage.completion_tokens <= 5
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_stream_helper_assembles_an_answer(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="gpt-4o", messages=HELLO, max_tokens=8) as stream:
        stream.until_done()
        answer = stream.current_completion_snapshot
    assert answer.choices[0].message.content


def test_two_choices_are_told_apart(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=4, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]


def test_logprobs_reach_the_client(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=3, logprobs=True, top_logprobs=2)
    assert answer.choices[0].logprobs is not None
    tokens = answer.choices[0].logprobs.content
    assert tokens
    assert len(tokens[0].top_logprobs) == 2


def test_a_json_schema_is_obeyed(client: openai.OpenAI) -> None:
    schema: Any = {
        "type": "json_schema",
        "json_schema": {
            "name": "answer",
            "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]},
        },
    }
    answer = client.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=40, response_format=schema)
    assert '"ok"' in (answer.choices[0].message.content or "")


def test_the_alias_caps_what_the_client_leaves_open(client: openai.OpenAI) -> None:
    long: Any = [{"role": "user", "content": "Count from one to ten thousand, in words, one after another."}]
    answer = client.chat.completions.create(model="gpt-4o", messages=long)
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 64


def test_embeddings_come_in_the_default_base64(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=["a cat", "a dog", "tax law"])
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert {len(item.embedding) for item in answer.data} == {EMBEDDING_WIDTH}
    assert answer.model == "text-embedding-3-small"
    assert answer.usage.prompt_tokens > 0


def test_embeddings_as_numbers_are_the_same_vectors(client: openai.OpenAI) -> None:
    packed = client.embeddings.create(model="text-embedding-3-small", input="a cat").data[0].embedding
    floats = client.embeddings.create(model="text-embedding-3-small", input="a cat", encoding_format="float")
    assert floats.data[0].embedding == pytest.approx(packed, abs=1e-5)


def test_token_ids_are_embedded_as_their_text(client: openai.OpenAI) -> None:
    ids: Any = [[15339]]
    raw = client.embeddings.with_raw_response.create(model="text-embedding-3-small", input=ids)
    text = client.embeddings.create(model="text-embedding-3-small", input="hello").data[0].embedding
    assert raw.parse().data[0].embedding == pytest.approx(text, abs=1e-5)
    assert "cl100k_base" in raw.headers["x-turnout-warning"]


def test_models_are_listed_and_found_by_id(client: openai.OpenAI) -> None:
    listed = {model.id for model in client.models.list()}
    assert {"gpt-4o", "text-embedding-3-small", "smollm2"} <= listed
    details: Any = client.models.retrieve("smollm2").model_extra
    assert details["turnout"]["context_length"] == 2048
    assert details["turnout"]["loaded"] is True


def test_an_unknown_model_is_a_not_found_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-4", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert "gpt-4o" in caught.value.message


def test_a_wrong_key_is_an_authentication_error(router: Served) -> None:
    wrong = openai.OpenAI(base_url=f"{router.url}/v1", api_key="a-wrong-key", max_retries=0)
    with wrong as sdk, pytest.raises(openai.AuthenticationError) as caught:
        sdk.models.list()
    assert caught.value.code == "invalid_api_key"


def test_an_overlong_prompt_is_told_in_openais_words(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "word " * 4000}])
    assert caught.value.code == "context_length_exceeded"


def test_tools_that_the_template_would_drop_are_refused(client: openai.OpenAI) -> None:
    tools: Any = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="smollm2", messages=HELLO, tools=tools)
    assert caught.value.param == "tools"


def test_a_cancelled_stream_frees_the_slot(client: openai.OpenAI, router: Served) -> None:
    long: Any = [{"role": "user", "content": "Tell a very long story."}]
    for _ in range(4):
        with client.chat.completions.create(model="smollm2", messages=long, stream=True, max_tokens=2000) as stream:
            next(iter(stream))
    answer = client.chat.completions.create(model="smollm2", messages=HELLO, max_tokens=2)
    assert answer.choices[0].finish_reason in {"length", "stop"}
    health = httpx.get(f"{router.url}/health", headers={"Authorization": f"Bearer {KEY}"}, timeout=5).json()
    assert {backend["in_flight"] for backend in health["backends"]} == {0}


@pytest.mark.anyio
async def test_the_async_client_streams(router: Served) -> None:
    async with openai.AsyncOpenAI(base_url=f"{router.url}/v1", api_key=KEY, max_retries=0) as sdk:
        stream = await sdk.chat.completions.create(model="task:code", messages=HELLO, max_tokens=4, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text

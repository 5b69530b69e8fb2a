"""langchain-ollama over every kind of backend."""

from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings
from pydantic import BaseModel

from tests.running import NO_TLS
from tests.sdk.mirrored import HEADERS, scripted
from tests.sdk.talk import HELLO, Talk

pytestmark = pytest.mark.anyio


class Answer(BaseModel):
    """A city."""

    city: str
    capital: bool


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"12 degrees in {city}"


class Chain:
    """Models of langchain whose connections are closed afterwards."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.made: list[Any] = []

    def chat(self, **options: Any) -> ChatOllama:
        return self._kept(ChatOllama(model=self.talk.model, num_predict=16, **self._settings(), **options))

    def embeddings(self) -> OllamaEmbeddings:
        return self._kept(OllamaEmbeddings(model=self.talk.embedding_model, **self._settings()))

    def _settings(self) -> dict[str, Any]:
        asking = {"headers": HEADERS, "verify": NO_TLS}
        return {"base_url": self.talk.stage.url, "client_kwargs": asking, "validate_model_on_init": True}

    def _kept(self, model: Any) -> Any:
        self.made.append(model)
        return model


@pytest.fixture
async def chain(talk: Talk, anyio_backend: str) -> Any:
    chain = Chain(talk)
    yield chain
    for model in chain.made:
        model._client._client.close()
        await model._async_client._client.aclose()


def test_a_chat(chain: Chain) -> None:
    answer = chain.chat().invoke(HELLO)
    assert answer.content
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] > 0


async def test_a_stream(chain: Chain) -> None:
    chunks = [chunk async for chunk in chain.chat().astream(HELLO)]
    assert "".join(str(chunk.content) for chunk in chunks)
    assert any(chunk.usage_metadata for chunk in chunks)


def test_tools_are_called_and_answered(chain: Chain) -> None:
    scripted(chain.talk)
    asking = [HumanMessage("What is the weather in Paris? Use the tool.")]
    able = chain.chat().bind_tools([get_weather])
    called = able.invoke(asking)
    (call,) = called.tool_calls
    assert call["name"] == "get_weather"
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    answer = able.invoke([*asking, called, result])
    assert answer.content


def test_an_answer_in_a_shape(chain: Chain) -> None:
    scripted(chain.talk).says('{"city": "Paris", "capital": true}')
    answer = chain.chat().with_structured_output(Answer).invoke(HELLO)
    assert answer == Answer(city="Paris", capital=True)


def test_embeddings(chain: Chain) -> None:
    if chain.talk.kind.embedding is None:
        pytest.skip("it makes no embeddings")
    first, second = chain.embeddings().embed_documents(["a cat", "tax law"])
    assert len(first) == len(second) > 0

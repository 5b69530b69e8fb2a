"""Vectors, and the list of models."""

from typing import Any

import pytest

from tests.sdk.conformance import feature
from tests.sdk.talk import Talk

TEXTS = ["a cat", "a dog", "tax law"]


def _vector(talk: Talk, text: Any, **fields: Any) -> list[float]:
    answer = talk.client.embeddings.create(model=talk.embedding_model, input=text, **fields)
    return answer.data[0].embedding


@feature("Embeddings", "base64, which the SDKs ask for")
def _(talk: Talk) -> None:
    answer = talk.client.embeddings.create(model=talk.embedding_model, input="a cat")
    assert (answer.object, answer.model) == ("list", talk.embedding_model)
    assert all(isinstance(number, float) for number in answer.data[0].embedding)
    assert answer.usage.prompt_tokens > 0
    raw = talk.client.embeddings.with_raw_response.create(
        model=talk.embedding_model, input="a cat", encoding_format="base64"
    )
    assert isinstance(raw.http_response.json()["data"][0]["embedding"], str)


@feature("Embeddings", "numbers (`encoding_format: float`)")
def _(talk: Talk) -> None:
    assert _vector(talk, "a cat", encoding_format="float") == pytest.approx(_vector(talk, "a cat"), abs=1e-5)


@feature("Embeddings", "batches, in order")
def _(talk: Talk) -> None:
    answer = talk.client.embeddings.create(model=talk.embedding_model, input=TEXTS)
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert answer.data[1].embedding == pytest.approx(_vector(talk, TEXTS[1]), abs=1e-2)


@feature("Embeddings", "`dimensions`", "dimensions", real=False)
def _(talk: Talk) -> None:
    assert len(_vector(talk, "a cat", dimensions=2)) == 2


@feature("Embeddings", "token ids (as cl100k_base)")
def _(talk: Talk) -> None:
    assert _vector(talk, [[15339]]) == pytest.approx(_vector(talk, "hello"), abs=1e-5)


@feature("Models", "list")
def _(talk: Talk) -> None:
    listed = {model.id for model in talk.client.models.list()}
    assert {talk.model, talk.embedding_model, talk.kind.chat} <= {name.removesuffix(":latest") for name in listed}


@feature("Models", "retrieve")
def _(talk: Talk) -> None:
    model = talk.client.models.retrieve(talk.model)
    assert (model.id, model.object, model.owned_by) == (talk.model, "model", "turnout")
    assert model.model_extra is not None
    assert model.model_extra["turnout"]["healthy"] is True

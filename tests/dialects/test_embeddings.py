"""Embedding requests and answers in OpenAI's format."""

import base64
import json
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from router.canonical.adapter import Vectors
from router.canonical.events import UsageReported
from router.canonical.request import EmbedRequest
from router.dialects import openai_embeddings
from router.errors import BackendFailed, BadRequest, InvalidParameter
from tests.dialects.recordings import body, named

floats = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=4)
RECORDED = [name for name in named("embeddings_*") if name != "embeddings_native_pooling_none"]


def parsed(**fields: Any) -> EmbedRequest:
    return openai_embeddings.parse_request(msgspec.json.encode({"model": "m", **fields}))


def answer(*vectors: Any, order: list[int] | None = None) -> bytes:
    data = [{"object": "embedding", "index": at, "embedding": vectors[at]} for at in order or range(len(vectors))]
    return msgspec.json.encode({"object": "list", "data": data, "model": "wire", "usage": {"prompt_tokens": 3}})


def told(found: Vectors, *, as_base64: bool) -> dict[str, Any]:
    return json.loads(openai_embeddings.render(found, model="shown", base64=as_base64))


def packed(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@pytest.mark.parametrize(
    ("given_input", "inputs", "tokens"),
    [
        ("a", ("a",), ()),
        ("", ("",), ()),
        (["a", "b"], ("a", "b"), ()),
        ([1, 2], (), ((1, 2),)),
        ([[1, 2], [3]], (), ((1, 2), (3,))),
    ],
)
def test_input_is_texts_or_token_ids(given_input, inputs, tokens):
    found = parsed(input=given_input)
    assert (found.inputs, found.tokens) == (inputs, tokens)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", 1]}, "input"),
        ({"input": [1, [2]]}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": ["a"] * 8_193}, "input"),
        ({"input": 5}, "input"),
        ({"input": "a", "model": None}, "model"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": "many"}, "dimensions"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(fields, param):
    with pytest.raises(InvalidParameter) as caught:
        parsed(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize("name", ["encoding_format", "dimensions", "user", "metadata"])
def test_an_explicit_null_is_as_good_as_nothing(name):
    found = parsed(input="a", **{name: None})
    assert (found.base64, found.dimensions, found.task) == (False, None, None)


@given(st.binary(max_size=100))
def test_any_bytes_are_either_understood_or_refused(body):
    with pytest.raises(BadRequest):
        openai_embeddings.parse_request(body)


def test_a_backend_gets_the_clients_own_fields_over_the_aliases_options():
    request = parsed(input="a", user="u", dimensions=2)
    found = json.loads(openai_embeddings.render_request(request, "wire", {"dimensions": 9, "truncate": True}))
    assert found == {"model": "wire", "input": "a", "user": "u", "dimensions": 2, "truncate": True}


def test_decoded_token_ids_are_sent_as_texts():
    request = parsed(input=[[1], [2]]).with_inputs(("x", "y"))
    assert json.loads(openai_embeddings.render_request(request, "m", {}))["input"] == ["x", "y"]


@given(st.lists(st.text(max_size=3), min_size=1, max_size=9), st.integers(1, 10))
def test_a_batch_is_split_and_loses_nothing(inputs, limit):
    parts = parsed(input=inputs).split(limit)
    assert [text for part in parts for text in part.inputs] == inputs
    assert max(len(part.inputs) for part in parts) <= limit


@given(st.lists(floats, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_vectors_come_in_the_form_that_was_asked_for(vectors, in_base64, as_base64):
    sent = [packed(vector) if in_base64 else vector for vector in vectors]
    found = openai_embeddings.decode(answer(*sent), "shown", base64=as_base64, expected=len(vectors))
    embeddings = [item["embedding"] for item in told(found, as_base64=as_base64)["data"]]
    assert embeddings == [packed(vector) if as_base64 else vector for vector in vectors]


def test_an_answer_in_the_form_that_was_asked_for_passes_untouched_but_for_the_name():
    raw = answer([0.5]).replace(b"0.5", b"0.50")
    found = openai_embeddings.decode(raw, "shown", base64=False, expected=1)
    assert openai_embeddings.render(found, model="shown", base64=False) == raw.replace(b'"wire"', b'"shown"')


def test_vectors_that_come_in_another_order_are_put_right():
    found = openai_embeddings.decode(answer([1.0], [2.0], order=[1, 0]), "shown", base64=False, expected=2)
    assert [(item["index"], item["embedding"]) for item in told(found, as_base64=False)["data"]] == [
        (0, [1.0]),
        (1, [2.0]),
    ]


@pytest.mark.parametrize("raw", [b"", b"{", b"{}", b"[]", b'{"data":[]}', b'{"data":null}', b"\xff", answer([1.0])])
def test_an_answer_without_every_vector_is_the_backends_failure(raw):
    with pytest.raises(BackendFailed):
        openai_embeddings.decode(raw, "shown", base64=False, expected=2)


@pytest.mark.parametrize(
    ("vector", "as_base64"),
    [(b'"???"', False), (b'"AAA="', False), (b"null", True), (b"{}", True), (b'["a"]', True), (b"5", True)],
)
def test_a_vector_that_cannot_be_put_in_the_other_form_is_the_backends_failure(vector, as_base64):
    with pytest.raises(BackendFailed):
        openai_embeddings.render(Vectors(vectors=(Raw(vector),)), model="m", base64=as_base64)


def test_answers_to_the_parts_of_a_batch_are_joined_in_order():
    parts = [
        Vectors(vectors=(Raw(b"[1]"),), usage=UsageReported(2), dropped=("user",)),
        Vectors(vectors=(Raw(b"[2]"),)),
    ]
    joined = Vectors.joined(parts)
    assert [bytes(vector) for vector in joined.vectors] == [b"[1]", b"[2]"]
    assert (joined.usage, joined.dropped) == (UsageReported(2), ("user",))


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_answer_of_llama_cpp_is_read(name):
    said = msgspec.json.decode(body(name))
    is_text = isinstance(said["data"][0]["embedding"], str)
    found = openai_embeddings.decode(body(name), "shown", base64=is_text, expected=len(said["data"]))
    assert told(found, as_base64=is_text)["data"] == said["data"]
    assert found.usage == UsageReported(said["usage"]["prompt_tokens"])

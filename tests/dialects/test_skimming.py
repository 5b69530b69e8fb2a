"""Large texts are read without their numbers, and mean the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dialects import openai_embeddings as embeddings
from router.dialects.skimming import WORTH_BYTES, skim
from router.errors import BackendFailed

LONG = [0.125] * WORTH_BYTES


def body(*vectors: object, **fields: object) -> bytes:
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return json.dumps({"object": "list", "data": data, "model": "m", **fields}).encode()


def read(text: bytes, expected: int, shown: str = "shown") -> embeddings.Vectors:
    return embeddings.decode(text, shown, base64=False, expected=expected)


@given(
    vectors=st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=8), min_size=1, max_size=4),
    indent=st.sampled_from([None, 1]),
)
def test_a_long_answer_is_read_as_a_short_one_is(vectors, indent):
    told = json.loads(body(*vectors, LONG, usage={"prompt_tokens": 7}))
    text = json.dumps(told, indent=indent).encode()
    found = read(text, len(vectors) + 1)
    assert [json.loads(bytes(vector)) for vector in found.vectors] == [*vectors, LONG]
    assert found.usage is not None
    assert found.usage.prompt == 7
    assert found.raw == text.replace(b'"model": "m"', b'"model": "shown"')


@pytest.mark.parametrize(
    "odd", [None, [None], ["1"], [[1.0]], [{}], {"a": [1]}, [True], [False], "text", "[1, 2]", '"embedding": []']
)
def test_lists_of_anything_but_numbers_are_not_left_out(odd):
    text = body(LONG, odd)
    skimmed = skim(text, 2)
    assert skimmed is None or len(skimmed.lists) < 2 or '"' in str(odd) or "[" in str(odd)
    assert [json.loads(bytes(vector)) for vector in read(text, 2).vectors] == [LONG, odd]


@pytest.mark.parametrize("word", [b"NaN", b"Infinity", b"-Infinity", b"nul"])
def test_words_that_are_no_json_are_refused_in_a_long_answer_too(word):
    with pytest.raises(BackendFailed):
        read(body(LONG, [5.5]).replace(b"5.5", word), 2)


@pytest.mark.parametrize("more", [{"note": [1, 2]}, {"note": "[1, 2]"}, {"note": {"a": []}}, {"note": "é"}])
def test_other_lists_do_not_get_in_the_way(more):
    found = read(body(LONG, [1.5], **more), 2)
    assert [json.loads(bytes(vector)) for vector in found.vectors] == [LONG, [1.5]]


@pytest.mark.parametrize("cut", [1, 2, 20, 5000])
def test_a_long_answer_that_is_cut_is_refused(cut):
    with pytest.raises(BackendFailed):
        read(body(LONG, [1.5])[:-cut], 2)


def test_a_model_that_is_named_twice_is_renamed_where_it_counts():
    found = read(body(LONG, extra={"model": "m"}), 1)
    assert found.raw is not None
    assert json.loads(found.raw)["model"] == "shown"
    assert json.loads(found.raw)["extra"] == {"model": "m"}

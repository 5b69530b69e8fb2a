"""`/v1/rerank`, `/tokenize` and `/detokenize`: where a llama.cpp server does them, and where nobody does."""

import pytest

from tests.fakes import FakeBackend, FakeModel
from tests.running import running
from tests.surfaces.asking import alias, backends, error_of

pytestmark = pytest.mark.anyio

DOCUMENTS = ["a cat", "the red panda", "a red fox"]
BODIES = {
    "/v1/rerank": {"query": "red panda", "documents": DOCUMENTS},
    "/tokenize": {"content": "one two"},
    "/detokenize": {"tokens": [0, 1]},
}


@pytest.fixture
async def fake(anyio_backend):
    async with FakeBackend([FakeModel("ranker", ("completion", "rerank"))], flavour="llama_cpp") as fake:
        yield fake


@pytest.fixture
async def r(fake):
    async with running({"backends": backends({"desk": fake}), "models": alias("small", "desk/ranker")}) as r:
        yield r


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v1/reranking", "/reranking"])
async def test_documents_are_ordered_by_how_well_they_fit(r, path):
    response = await r.client.post(path, json={"model": "small", **BODIES["/v1/rerank"]})
    body = response.json()
    assert (response.status_code, body["model"], body["object"]) == (200, "small", "list")
    assert [result["index"] for result in body["results"]] == [1, 2, 0]
    assert body["results"][0]["relevance_score"] == 0.5
    assert body["usage"] == {"prompt_tokens": 8, "total_tokens": 8}
    assert response.headers["x-turnout-backend"] == "desk"


async def test_only_the_best_documents_come_back_with_their_text_if_that_is_wanted(r, fake):
    asked = {"query": "red panda", "documents": [{"text": text} for text in DOCUMENTS], "top_n": 1}
    response = await r.client.post("/v1/rerank", json={"model": "small", "return_documents": True, **asked})
    assert response.json()["results"] == [{"index": 1, "relevance_score": 0.5, "document": {"text": "the red panda"}}]
    assert fake.requests[-1].json == {"model": "ranker", "query": "red panda", "documents": DOCUMENTS, "top_n": 1}


async def test_a_text_becomes_tokens_and_text_again(r):
    tokens = (await r.client.post("/tokenize", json={"model": "small", "content": "one two"})).json()["tokens"]
    assert len(tokens) == 2
    text = (await r.client.post("/detokenize", json={"model": "small", "tokens": tokens})).json()
    assert text == {"content": "one two"}


async def test_tokens_come_with_their_pieces_if_those_are_wanted(r):
    asked = {"model": "small", "content": "one two", "with_pieces": True}
    tokens = (await r.client.post("/tokenize", json=asked)).json()["tokens"]
    assert [token["piece"] for token in tokens] == ["one", " two"]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("kind", ["ollama", "openai", "claude"])
async def test_what_no_backend_offers_is_501(path, kind):
    async with (
        FakeBackend([FakeModel("other")], flavour=kind) as fake,
        running({"backends": backends({"desk": fake}), "models": alias("small", "desk/other")}) as r,
    ):
        response = await r.client.post(path, json={"model": "small", **BODIES[path]})
        assert (response.status_code, error_of(response)["code"]) == (501, "unsupported_operation")
        assert fake.requests == []


async def test_a_llama_cpp_that_was_not_started_for_it_is_501():
    async with (
        FakeBackend([FakeModel("plain")], flavour="llama_cpp") as fake,
        running({"backends": backends({"desk": fake})}) as r,
    ):
        response = await r.client.post("/v1/rerank", json={"model": "plain", **BODIES["/v1/rerank"]})
        error = error_of(response)
        assert (response.status_code, error["code"]) == (501, "unsupported_operation")
        assert "--reranking" in error["message"]


async def test_the_next_target_is_asked_where_one_offers_nothing(fake):
    async with FakeBackend([FakeModel("other")], flavour="ollama") as first:
        models = alias("small", "first/other", "desk/ranker")
        async with running({"backends": backends({"first": first, "desk": fake}), "models": models}) as r:
            response = await r.client.post("/tokenize", json={"model": "small", "content": "one two"})
            assert (response.status_code, response.headers["x-turnout-backend"]) == (200, "desk")


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/v1/rerank", {"query": None}, "query"),
        ("/v1/rerank", {"documents": []}, "documents"),
        ("/v1/rerank", {"documents": [3]}, "documents[0]"),
        ("/v1/rerank", {"top_n": 0}, "top_n"),
        ("/tokenize", {"content": None}, "content"),
        ("/tokenize", {"model": ""}, "model"),
        ("/detokenize", {"tokens": None}, "tokens"),
    ],
)
async def test_what_the_client_did_wrong_is_400_and_names_the_field(r, path, fields, param):
    response = await r.client.post(path, json={"model": "small", **BODIES[path], **fields})
    assert (response.status_code, error_of(response)["param"]) == (400, param)

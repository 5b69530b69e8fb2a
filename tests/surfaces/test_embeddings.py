"""`/v1/embeddings` over every kind of backend."""

import struct
from base64 import b64decode
from collections.abc import AsyncIterator

import pytest

from router.routing.health import State
from tests.fakes import FakeBackend, Faults
from tests.running import RunningRouter, running
from tests.surfaces.asking import alias, backends, error_of

pytestmark = pytest.mark.anyio

EMBED = "/v1/embeddings"
MODELS = {"ollama": "nomic-embed-text", "openai": "fake-embed", "llama_cpp": "smollm2"}


@pytest.fixture(params=MODELS)
async def fake(request, anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour=request.param) as fake:
        yield fake


@pytest.fixture
async def r(fake) -> AsyncIterator[RunningRouter]:
    config = {"backends": backends({"desk": fake}), "models": alias("vectors", f"desk/{MODELS[fake.flavour]}")}
    async with running(config) as r:
        yield r


def unpacked(text: str) -> list[float]:
    raw = b64decode(text)
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


async def test_one_text_is_one_vector(r):
    response = await r.client.post(EMBED, json={"model": "vectors", "input": "one two"})
    body = response.json()
    assert response.status_code == 200
    assert (body["object"], body["model"]) == ("list", "vectors")
    assert [(item["object"], item["index"]) for item in body["data"]] == [("embedding", 0)]
    assert len(body["data"][0]["embedding"]) == 4
    assert body["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


async def test_many_texts_keep_their_order(r):
    texts = [f"text {number}" for number in range(20)]
    together = (await r.client.post(EMBED, json={"model": "vectors", "input": texts})).json()["data"]
    alone = [(await r.client.post(EMBED, json={"model": "vectors", "input": text})).json()["data"] for text in texts]
    assert [item["embedding"] for item in together] == [items[0]["embedding"] for items in alone]


async def test_base64_holds_the_same_numbers(r):
    plain = (await r.client.post(EMBED, json={"model": "vectors", "input": "a b"})).json()["data"][0]["embedding"]
    coded = await r.client.post(EMBED, json={"model": "vectors", "input": "a b", "encoding_format": "base64"})
    assert unpacked(coded.json()["data"][0]["embedding"]) == pytest.approx(plain, rel=1e-6)


async def test_a_batch_above_the_backends_limit_is_split_and_joined_in_order(fake):
    texts = [f"text {number}" for number in range(7)]
    config = {"backends": backends({"desk": fake}, embedding_batch=3)}
    name = f"desk/{MODELS[fake.flavour]}"
    async with running(config) as r:
        response = await r.client.post(EMBED, json={"model": name, "input": texts})
        split = response.json()
        requests = len(fake.requests)
        alone = [(await r.client.post(EMBED, json={"model": name, "input": text})).json() for text in texts]
    assert requests == 3
    assert [item["index"] for item in split["data"]] == list(range(7))
    assert [item["embedding"] for item in split["data"]] == [one["data"][0]["embedding"] for one in alone]
    assert split["usage"] == {"prompt_tokens": 14, "total_tokens": 14}


async def test_token_ids_are_decoded_and_that_is_said(r):
    response = await r.client.post(EMBED, json={"model": "vectors", "input": [[15339, 1917]]})
    told = (await r.client.post(EMBED, json={"model": "vectors", "input": "hello world"})).json()
    assert response.status_code == 200
    assert response.json()["data"][0]["embedding"] == told["data"][0]["embedding"]
    assert "cl100k_base" in response.headers["x-turnout-warning"]


async def test_headers_say_who_answered(r, fake):
    headers = (await r.client.post(EMBED, json={"model": "vectors", "input": "a"})).headers
    assert headers["x-turnout-backend"] == "desk"
    assert headers["x-turnout-model"] == MODELS[fake.flavour]
    assert (headers["x-turnout-attempts"], headers["x-turnout-reason"]) == ("1", "alias vectors")


async def test_the_route_also_works_without_its_version(r):
    assert (await r.client.post("/embeddings", json={"model": "vectors", "input": "a"})).status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "a"}, "model"),
        ({"model": "vectors"}, "input"),
        ({"model": "vectors", "input": []}, "input"),
        ({"model": "vectors", "input": ["a", 5]}, "input"),
        ({"model": "vectors", "input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"model": "vectors", "input": "a", "dimensions": 0}, "dimensions"),
    ],
)
async def test_a_mistake_is_told_with_the_field_it_is_in(r, fake, body, param):
    response = await r.client.post(EMBED, json=body)
    assert (response.status_code, error_of(response)["param"]) == (400, param)
    assert fake.requests == []


async def test_a_chat_model_that_cannot_embed_is_the_clients_mistake(anyio_backend):
    async with FakeBackend() as fake, running({"backends": backends({"desk": fake})}) as r:
        response = await r.client.post(EMBED, json={"model": "desk/llama3.2", "input": "a"})
        assert response.status_code == 400
        assert error_of(response)["param"] == "model"
        assert r.router.fleet.health["desk"].state is State.UP


@pytest.mark.parametrize(
    "faults",
    [Faults(status=500), Faults(status=503), Faults(bad_json_at=0), Faults(drop_after=0), Faults(end_after=0)],
    ids=["500", "503", "bad JSON", "reset", "empty"],
)
async def test_a_failed_embedding_is_asked_of_the_next_target(r, fake, faults):
    fake.faults = faults
    async with FakeBackend(flavour="openai") as other:
        config = {
            "backends": backends({"desk": fake, "other": other}),
            "models": alias("both", f"desk/{MODELS[fake.flavour]}", "other/fake-embed"),
        }
        async with running(config) as both:
            response = await both.client.post(EMBED, json={"model": "both", "input": "a"})
    assert response.status_code == 200
    assert (response.headers["x-turnout-backend"], response.headers["x-turnout-attempts"]) == ("other", "2")


async def test_auto_finds_the_model_tagged_for_embeddings(fake):
    name = MODELS[fake.flavour]
    config = {"backends": backends({"desk": fake}), "models": alias("vectors", f"desk/{name}", tags=["embedding"])}
    async with running(config) as r:
        response = await r.client.post(EMBED, json={"model": "auto", "input": "a"})
    assert (response.status_code, response.headers["x-turnout-model"]) == (200, name)

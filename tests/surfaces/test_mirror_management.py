"""Pulling, copying, creating and deleting models through the router, on the one Ollama that is meant."""

import json
from hashlib import sha256

import pytest

from tests.fakes import FakeBackend, FakeModel, Scripted
from tests.running import running
from tests.surfaces.asking import backends, calling, eventually, idle

pytestmark = pytest.mark.anyio

DESK = {"x-turnout-backend": "desk"}
BLOB = bytes(range(256)) * 4096
DIGEST = f"sha256:{sha256(BLOB).hexdigest()}"
KEY = {"authorization": "Bearer a-key-for-tests"}


@pytest.fixture
async def ollama(anyio_backend):
    async with FakeBackend([FakeModel("llama3.2:latest")], flavour="ollama") as fake:
        yield fake


@pytest.fixture
async def other(anyio_backend):
    async with FakeBackend(flavour="openai") as fake:
        yield fake


@pytest.fixture
async def r(ollama, other):
    async with running({"backends": backends({"desk": ollama, "cloud": other})}) as r:
        yield r


async def names(r) -> set[str]:
    return {model["name"] for model in (await r.client.get("/api/tags")).json()["models"]}


async def test_a_pull_tells_its_progress_and_the_model_is_there_at_once(r):
    response = await r.client.post("/api/pull", json={"model": "qwen3"})
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert response.headers["content-type"].startswith("application/x-ndjson")
    assert (lines[0]["status"], lines[-1]["status"]) == ("pulling manifest", "success")
    assert response.headers["x-turnout-backend"] == "desk"
    assert "qwen3:latest" in await names(r)


async def test_what_goes_wrong_in_a_pull_is_told_in_ollamas_words(r):
    response = await r.client.post("/api/pull", json={"model": "missing"})
    assert json.loads(response.text.splitlines()[-1]) == {"error": "pull model manifest: file does not exist"}


async def test_models_are_copied_and_deleted(r):
    copied = await r.client.post("/api/copy", json={"source": "llama3.2", "destination": "mine"})
    assert (copied.status_code, copied.content) == (200, b"")
    assert "mine:latest" in await names(r)
    deleted = await r.client.request("DELETE", "/api/delete", json={"model": "mine"})
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert "mine:latest" not in await names(r)


async def test_a_model_is_made_of_a_blob_that_came_in_pieces(r, ollama):
    async def pieces():
        for at in range(0, len(BLOB), 50_000):
            yield BLOB[at : at + 50_000]

    assert (await r.client.head(f"/api/blobs/{DIGEST}")).status_code == 404
    assert (await r.client.post(f"/api/blobs/{DIGEST}", content=pieces())).status_code == 201
    assert (await r.client.head(f"/api/blobs/{DIGEST}")).status_code == 200
    assert ollama.blobs == {DIGEST: BLOB}
    made = await r.client.post("/api/create", json={"model": "mine", "files": {"a.gguf": DIGEST}})
    assert made.text.splitlines()[-1] == '{"status":"success"}'
    assert "mine:latest" in await names(r)


async def test_a_blob_may_be_larger_than_any_request(ollama):
    config = {"backends": backends({"desk": ollama}), "server": {"max_body_bytes": 1000}}
    async with running(config) as r:
        assert (await r.client.post(f"/api/blobs/{DIGEST}", content=BLOB)).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("DELETE", "/api/delete", {"model": "nobody"}, 404, "not found"),
        ("POST", "/api/copy", {"source": "nobody", "destination": "x"}, 404, "not found"),
        ("POST", "/api/create", {"model": "x"}, 400, "neither 'from'"),
        ("POST", "/api/pull", {}, 400, "invalid model name"),
        ("POST", f"/api/blobs/sha256:{'0' * 64}", {}, 400, "digest mismatch"),
        ("POST", "/api/blobs/etc", {}, 400, "digest"),
        ("POST", "/api/delete", {"model": "x"}, 405, "POST"),
    ],
)
async def test_refusals_are_one_text(r, method, path, body, status, words):
    response = await r.client.request(method, path, json=body)
    assert response.status_code == status
    assert words in response.json()["error"]


@pytest.mark.parametrize(("named", "status"), [("nobody", 404), ("cloud", 400)])
async def test_only_an_ollama_can_be_named(r, named, status):
    response = await r.client.post("/api/pull", json={"model": "x"}, headers={"x-turnout-backend": named})
    assert response.status_code == status
    assert list(response.json()) == ["error"]


async def test_of_several_one_must_be_named(ollama):
    async with FakeBackend(flavour="ollama") as second:
        async with running({"backends": backends({"desk": ollama, "attic": second})}) as r:
            response = await r.client.post("/api/pull", json={"model": "x"})
            assert response.status_code == 400
            assert "desk, attic" in response.json()["error"]
            assert (await r.client.post("/api/pull", json={"model": "x"}, headers=DESK)).status_code == 200
        assert not second.requests
        assert len(ollama.requests) == 1


async def test_without_any_there_is_nobody_to_ask(other):
    async with running({"backends": backends({"cloud": other})}) as r:
        response = await r.client.post("/api/pull", json={"model": "x"})
        assert (response.status_code, "there is none" in response.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/pull"), ("DELETE", "/api/delete"), ("POST", f"/api/blobs/{DIGEST}")]
)
async def test_where_keys_are_asked_only_who_may_administer_manages(ollama, method, path):
    keeper = {"key": "a-key-for-tests", "scopes": ["admin"]}
    config = {"backends": backends({"desk": ollama}), "auth": {"api_keys": [keeper, "a-key-for-chats"]}}
    async with running(config) as r:
        chatting = {"authorization": "Bearer a-key-for-chats"}
        refused = await r.client.request(method, path, json={"model": "x"}, headers=chatting)
        assert (refused.status_code, "scope admin" in refused.json()["error"]) == (403, True)
        for headers in ({}, {"authorization": "Bearer wrong"}):
            assert (await r.client.request(method, path, json={"model": "x"}, headers=headers)).status_code == 401
        answer = await r.client.request("POST", "/api/pull", json={"model": "x"}, headers=KEY)
        assert answer.status_code == 200


async def test_a_page_in_a_browser_manages_nothing_where_no_key_is_asked(r, ollama):
    response = await r.client.post("/api/pull", json={"model": "x"}, headers={"origin": "http://elsewhere.test"})
    assert response.status_code == 401
    assert not ollama.requests


async def test_a_client_who_leaves_a_pull_ends_it(r, ollama):
    ollama.script("/api/pull", Scripted(lines=[{"status": "pulling manifest"}, {"status": "success"}], delay_s=30))
    async with calling(r, "/api/pull", {"model": "x"}) as caller:
        await caller.until(b"pulling manifest")
    await ollama.until(lambda: len(ollama.disconnects) == 1)
    await eventually(lambda: idle(r))


async def test_a_client_who_leaves_an_upload_frees_everything(r, ollama):
    head = f"POST /api/blobs/{DIGEST} HTTP/1.1\r\nHost: router\r\nContent-Length: {len(BLOB)}\r\n\r\n"
    async with calling(r) as caller:
        await caller.send(head.encode() + BLOB[:100])
        await eventually(lambda: not idle(r))
    await eventually(lambda: idle(r))
    assert ollama.blobs == {}

"""The router as an Ollama server: over every kind of backend, byte for byte where clients look."""

import json
from typing import Any

import pytest

from tests.fakes import FakeBackend, Faults
from tests.running import running
from tests.sdk.kinds import FAKES, Kind
from tests.surfaces.asking import alias, backends, calling, eventually, idle

pytestmark = pytest.mark.anyio

HELLO = [{"role": "user", "content": "hello there"}]
QUESTION = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
EMBEDDERS = [kind for kind in FAKES if kind.embedding]


def lines_of(response) -> list[dict[str, Any]]:
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


@pytest.fixture(params=FAKES, ids=lambda kind: kind.name)
async def kind(request, anyio_backend) -> Kind:
    return request.param


@pytest.fixture
async def fake(kind):
    async with FakeBackend(kind.models(), flavour=kind.flavour, reply="Hello you.") as fake:
        yield fake


@pytest.fixture
async def r(fake, kind):
    config = {"backends": backends({"desk": fake}, api_key="k"), "models": alias("chat", f"desk/{kind.chat}")}
    async with running(config) as r:
        yield r


@pytest.mark.parametrize("name", ["chat", "chat:latest"])
async def test_a_chat_is_streamed_as_lines_that_name_the_model_as_asked(r, name):
    *lines, last = lines_of(await r.client.post("/api/chat", json={"model": name, "messages": HELLO}))
    assert "".join(line["message"]["content"] for line in lines) == "Hello you."
    assert {line["model"] for line in (*lines, last)} == {name}
    assert (last["done"], last["done_reason"]) == (True, "stop")
    assert last["prompt_eval_count"] > 0
    assert last["eval_count"] > 0
    assert last["total_duration"] > 0


async def test_a_whole_chat_is_one_object(r):
    response = await r.client.post("/api/chat", json={"model": "chat", "messages": HELLO, "stream": False})
    body = response.json()
    assert (body["model"], body["message"]["content"], body["done_reason"]) == ("chat", "Hello you.", "stop")
    assert body["eval_count"] > 0
    assert response.headers["x-turnout-backend"] == "desk"


async def test_a_prompt_is_answered_in_its_own_shape(r):
    lines = lines_of(await r.client.post("/api/generate", json={"model": "chat", "prompt": "hi", "system": "brief"}))
    assert "".join(line["response"] for line in lines) == "Hello you."
    assert all("message" not in line for line in lines)
    whole = await r.client.post("/api/generate", json={"model": "chat", "prompt": "hi", "stream": False})
    assert (whole.json()["response"], whole.json()["model"]) == ("Hello you.", "chat")


async def test_a_raw_prompt_is_a_text_to_go_on_with(r, fake, kind):
    asked = {"model": "chat", "prompt": "once", "raw": True, "options": {"num_predict": 7}}
    lines = lines_of(await r.client.post("/api/generate", json=asked))
    assert lines[-1]["done"]
    assert "".join(line["response"] for line in lines)
    paths = {"ollama": "/api/generate", "llama_cpp": "/completion", "openai": "/v1/completions"}
    assert fake.requests[-1].path == paths.get(kind.flavour, "/v1/messages")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_tool_call_has_an_object_for_its_arguments(r, stream):
    asked = {"model": "chat", "messages": QUESTION, "tools": [WEATHER], "stream": stream}
    response = await r.client.post("/api/chat", json=asked)
    messages = [line["message"] for line in lines_of(response)] if stream else [response.json()["message"]]
    (call,) = [call for message in messages for call in message.get("tool_calls", [])]
    assert call["function"]["name"] == "get_weather"
    assert isinstance(call["function"]["arguments"]["city"], str)


@pytest.mark.parametrize("kind", EMBEDDERS, indirect=True, ids=lambda kind: kind.name)
async def test_embeddings_of_many_and_of_one(r):
    many = await r.client.post("/api/embed", json={"model": "desk/embedder", "input": ["a", "b"]})
    one = await r.client.post("/api/embeddings", json={"model": "desk/embedder", "prompt": "a"})
    assert many.json()["model"] == "desk/embedder"
    assert len(many.json()["embeddings"]) == 2
    assert many.json()["prompt_eval_count"] > 0
    assert one.json() == {"embedding": many.json()["embeddings"][0]}


@pytest.mark.parametrize("body", [{}, {"input": ""}, {"input": []}])
async def test_nothing_to_embed_is_no_work(r, fake, body):
    response = await r.client.post("/api/embed", json={"model": "chat", **body})
    assert response.json()["embeddings"] == []
    assert fake.requests == []


@pytest.mark.parametrize(("keep_alive", "reason"), [("5m", "load"), (0, "unload")])
async def test_asking_nothing_loads_a_model_or_lets_it_go(r, fake, kind, keep_alive, reason):
    response = await r.client.post("/api/chat", json={"model": "chat", "messages": [], "keep_alive": keep_alive})
    body = response.json()
    assert (body["message"]["content"], body["done"], body["done_reason"]) == ("", True, reason)
    told = [request.json for request in fake.requests]
    asked = {"model": kind.chat, "stream": False, "keep_alive": keep_alive}
    assert told == ([asked] if kind.flavour == "ollama" else [])


async def test_every_alias_and_every_model_is_listed_and_shown(r, kind):
    listed = (await r.client.get("/api/tags")).json()["models"]
    names = {model["name"] for model in listed}
    assert {"chat:latest", f"{kind.chat}:latest"} <= names
    for model in listed:
        assert "completion" in model["capabilities"] or model["capabilities"] == ["embedding"]
        shown = await r.client.post("/api/show", json={"model": model["name"]})
        assert shown.status_code == 200
        assert isinstance(shown.json()["model_info"], dict)
        assert shown.json()["capabilities"]


async def test_what_is_tagged_as_an_embedder_is_shown_as_one(fake, kind):
    config = {"backends": backends({"desk": fake}, api_key="k"), "models": alias("v", "desk/x", tags=["embedding"])}
    async with running(config) as r:
        (listed,) = [
            model for model in (await r.client.get("/api/tags")).json()["models"] if model["name"] == "v:latest"
        ]
    assert listed["capabilities"] == ["embedding"]


async def test_what_is_loaded_is_told_where_the_backend_says_it(r, kind):
    loaded = {model["name"] for model in (await r.client.get("/api/ps")).json()["models"]}
    assert ("chat:latest" in loaded) == (kind.flavour in {"ollama", "llama_cpp"})


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags", "/api/ps"])
async def test_what_clients_look_at_answers_to_a_head_too(r, path):
    got, head = await r.client.get(path), await r.client.head(path)
    assert (got.status_code, head.status_code, head.content) == (200, 200, b"")
    assert got.content


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/api/chat", b"", 400, "missing request body"),
        ("/api/chat", b"{", 400, "JSON"),
        ("/api/chat", b"{}", 400, "model is required"),
        ("/api/chat", b'{"model": "nobody", "messages": [{"role": "user", "content": "x"}]}', 404, "nobody"),
        ("/api/generate", b'{"model": "nobody"}', 404, "nobody"),
        ("/api/embed", b'{"model": "nobody", "input": "x"}', 404, "nobody"),
        ("/api/embed", b'{"model": "m", "input": [1, 2]}', 400, "input"),
        ("/api/show", b"{}", 400, "model is required"),
        ("/api/show", b'{"model": "nobody"}', 404, "model 'nobody' not found"),
    ],
)
async def test_errors_are_one_text(r, path, body, status, words):
    response = await r.client.post(path, content=body)
    assert (response.status_code, list(response.json())) == (status, ["error"])
    assert words in response.json()["error"]


async def test_a_failure_before_the_answer_has_its_own_status(r, fake):
    fake.faults = Faults(status=500)
    response = await r.client.post("/api/chat", json={"model": "chat", "messages": HELLO})
    assert response.status_code == 502
    assert list(response.json()) == ["error"]


async def test_a_failure_in_the_middle_is_the_last_line(r, fake, kind):
    fake.faults = Faults(drop_after={"ollama": 1, "claude": 3}.get(kind.flavour, 2))
    *_, last = lines_of(await r.client.post("/api/chat", json={"model": "chat", "messages": HELLO}))
    assert list(last) == ["error"]


async def test_a_client_who_leaves_frees_the_backend(r, fake):
    fake.faults = Faults(stall_after=1)
    async with calling(r, "/api/chat", {"model": "chat", "messages": HELLO}):
        await fake.until(lambda: len(fake.requests) == 1)
    await fake.until(lambda: len(fake.disconnects) == 1)
    await eventually(lambda: idle(r))

"""The fake backend speaks each format as the real server does."""

import base64
import json
import math
import struct
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.fakes import FakeBackend, FakeModel

pytestmark = pytest.mark.anyio

TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
MESSAGES = [{"role": "user", "content": "How is the weather?"}]


@pytest.fixture
async def client(anyio_backend: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield session


async def post(client: aiohttp.ClientSession, fake: FakeBackend, *, path: str, body: object) -> tuple[int, Any]:
    async with client.post(fake.url + path, json=body) as response:
        return response.status, json.loads(await response.read())


async def events(client: aiohttp.ClientSession, fake: FakeBackend, **fields: object) -> list[Any]:
    body = {"model": fake.models[0].name, "messages": MESSAGES, "stream": True, **fields}
    async with client.post(fake.url + "/v1/chat/completions", json=body) as response:
        cut = (await response.read()).split(b"\n\n")[:-1]
    payloads = [event.removeprefix(b"data: ") for event in cut]
    return [json.loads(p) if p != b"[DONE]" else "[DONE]" for p in payloads]


def deltas(chunks: list[Any]) -> list[Any]:
    return [c["choices"][0]["delta"] for c in chunks if c != "[DONE]" and c["choices"]]


async def test_ollama_calls_a_tool_in_one_line_before_done(client):
    async with FakeBackend() as fake:
        body = {"model": "llama3.2", "messages": MESSAGES, "tools": [TOOL]}
        async with client.post(fake.url + "/api/chat", json=body) as response:
            first, last = [json.loads(line) for line in (await response.read()).splitlines()]
    (call,) = first["message"]["tool_calls"]
    assert call["function"] == {"index": 0, "name": "get_weather", "arguments": {"city": "Paris"}}
    assert (first["done"], last["done"], last["done_reason"]) == (False, True, "stop")
    assert "tool_calls" not in last["message"]


async def test_a_tool_result_brings_text(client):
    async with FakeBackend() as fake:
        messages = [*MESSAGES, {"role": "tool", "content": "sun"}]
        body = {"model": "llama3.2", "messages": messages, "tools": [TOOL], "stream": False}
        _, answer = await post(client, fake, path="/api/chat", body=body)
    assert answer["message"] == {"role": "assistant", "content": "Hello from the fake."}


async def test_ollama_thinks_before_it_talks_and_omits_zero_counters(client):
    async with FakeBackend(thinking="Hm.") as fake:
        body = {"model": "llama3.2", "messages": [{"role": "user", "content": ""}], "stream": False}
        _, answer = await post(client, fake, path="/api/chat", body=body)
    assert answer["message"]["thinking"] == "Hm."
    assert answer["eval_count"] == 5
    assert "prompt_eval_count" not in answer


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/api/chat", {"model": "x"}, 404, "model 'x' not found"),
        ("/api/chat", {}, 400, "model is required"),
        ("/api/generate", {"model": ""}, 404, "model '' not found"),
        ("/api/embed", {"model": "x", "input": "a"}, 404, 'model "x" not found, try pulling it first'),
        ("/api/show", {"model": "x"}, 404, "model 'x:latest' not found"),
        (
            "/api/chat",
            {"model": "plain", "messages": MESSAGES, "tools": [TOOL], "think": True},
            400,
            'registry.ollama.ai/library/plain:latest does not support tools\n"plain" does not support thinking',
        ),
        ("/api/chat", {"model": "embed", "messages": MESSAGES}, 400, '"embed" does not support chat'),
        (
            "/api/chat",
            {"model": "plain", "messages": [{"role": "user", "content": []}]},
            400,
            "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string",
        ),
        (
            "/api/chat",
            {"model": "plain", "messages": MESSAGES, "options": {"stop": "a"}},
            500,
            'option "stop" must be of type array',
        ),
        ("/api/chat", {"model": "plain", "keep_alive": "300"}, 400, 'time: missing unit in duration "300"'),
    ],
)
async def test_ollama_refuses_in_its_own_words(client, path, body, status, error):
    models = [FakeModel("plain:latest"), FakeModel("embed:latest", capabilities=("embedding",))]
    async with FakeBackend(models) as fake:
        assert await post(client, fake, path=path, body=body) == (status, {"error": error})


async def test_ollama_answers_unknown_paths_and_methods_as_text(client):
    async with FakeBackend() as fake:
        async with client.get(fake.url + "/props") as response:
            assert (response.status, await response.text()) == (404, "404 page not found")
        async with client.get(fake.url + "/api/chat") as response:
            assert (response.status, await response.text()) == (405, "405 method not allowed")
        async with client.head(fake.url + "/") as response:
            assert response.status == 200


async def test_ollama_lists_shows_and_runs_its_models(client):
    model = FakeModel("qwen3:8b", capabilities=("completion", "thinking"), context_length=8192)
    async with FakeBackend([model, FakeModel("idle:latest", loaded=False)]) as fake:
        async with client.get(fake.url + "/api/tags") as response:
            listed = (await response.json())["models"]
        async with client.get(fake.url + "/api/ps") as response:
            running = (await response.json())["models"]
        _, shown = await post(client, fake, path="/api/show", body={"model": "qwen3:8b"})
    assert [m["name"] for m in listed] == ["qwen3:8b", "idle:latest"]
    assert [(m["name"], m["context_length"]) for m in running] == [("qwen3:8b", 8192)]
    assert shown["capabilities"] == ["completion", "thinking"]
    assert shown["model_info"]["qwen.context_length"] == 8192


async def test_ollama_pulls_and_deletes(client):
    async with FakeBackend([]) as fake:
        answer = await post(client, fake, path="/api/pull", body={"model": "new", "stream": False})
        assert answer == (200, {"status": "success"})
        assert [m.name for m in fake.models] == ["new:latest"]
        async with client.delete(fake.url + "/api/delete", json={"model": "new"}) as response:
            assert (response.status, await response.read()) == (200, b"")
    assert fake.models == []


async def test_ollama_loads_on_empty_messages(client):
    async with FakeBackend() as fake:
        _, answer = await post(client, fake, path="/api/chat", body={"model": "llama3.2", "keep_alive": 0})
    assert answer["done_reason"] == "unload"


async def test_ollama_embeds_texts_and_nothing(client):
    async with FakeBackend() as fake:
        name = "nomic-embed-text"
        _, two = await post(client, fake, path="/api/embed", body={"model": name, "input": ["a b", "c"]})
        _, cut = await post(client, fake, path="/api/embed", body={"model": name, "input": "c", "dimensions": 2})
        _, one = await post(client, fake, path="/api/embed", body={"model": name, "input": [""]})
        bodies = [{"model": name, "input": given} for given in ("", [], None)]
        nothing = [(await post(client, fake, path="/api/embed", body=body))[1] for body in bodies]
        status, _ = await post(client, fake, path="/api/embed", body={"model": name, "input": [1, 2]})
    assert two["prompt_eval_count"] == 3
    assert [math.isclose(math.hypot(*v), 1.0, rel_tol=1e-6) for v in two["embeddings"]] == [True, True]
    assert len(cut["embeddings"][0]) == 2
    assert len(one["embeddings"]) == 1
    assert nothing == [{"model": name, "embeddings": []}] * 3
    assert status == 400


async def test_openai_stream_has_role_pieces_finish_and_done(client):
    async with FakeBackend(flavour="openai") as fake:
        chunks = await events(client, fake)
    assert deltas(chunks)[0] == {"role": "assistant", "content": ""}
    assert "".join(d.get("content", "") for d in deltas(chunks)) == fake.reply
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1] == "[DONE]"
    assert not any("usage" in c for c in chunks[:-1])


async def test_openai_usage_comes_when_asked(client):
    usage = {"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8}
    async with FakeBackend(flavour="openai") as fake:
        chunks = await events(client, fake, stream_options={"include_usage": True})
        assert (chunks[-2]["choices"], chunks[-2]["usage"], chunks[0]["usage"]) == ([], usage, None)
        fake.usage_on_finish_chunk, fake.send_done = True, False
        chunks = await events(client, fake, stream_options={"include_usage": True})
    assert (chunks[-1]["choices"][0]["finish_reason"], chunks[-1]["usage"]) == ("stop", usage)


@pytest.mark.parametrize("flavour", ["openai", "llama_cpp", "ollama"])
async def test_streamed_tool_calls_join_to_the_same_arguments(client, flavour):
    async with FakeBackend(flavour=flavour) as fake:
        chunks = await events(client, fake, tools=[TOOL])
    calls = [d["tool_calls"][0] for d in deltas(chunks) if "tool_calls" in d]
    assert calls[0]["function"]["name"] == "get_weather"
    assert [("id" in c, "type" in c) for c in calls[1:]] == [(False, False)] * (len(calls) - 1)
    assert json.loads("".join(c["function"]["arguments"] for c in calls)) == {"city": "Paris"}
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_llama_cpp_streams_as_recorded(client):
    async with FakeBackend(flavour="llama_cpp") as fake:
        chunks = await events(client, fake, model="whatever", tools=[TOOL])
    assert deltas(chunks)[0] == {"role": "assistant", "content": None}
    assert deltas(chunks)[1]["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": "{"}
    assert {c["model"] for c in chunks[:-1]} == {"smollm2"}
    assert "timings" in chunks[-2]


async def test_llama_cpp_errors_have_int_codes_and_no_param(client):
    async with FakeBackend(flavour="llama_cpp") as fake, client.get(fake.url + "/api/tags") as response:
        body = {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}
        assert (response.status, await response.json()) == (404, body)


async def test_llama_cpp_drops_tools_its_template_does_not_know(client):
    async with FakeBackend([FakeModel("smollm2")], flavour="llama_cpp") as fake:
        chunks = await events(client, fake, tools=[TOOL])
    assert "".join(d.get("content") or "" for d in deltas(chunks)) == fake.reply


async def test_llama_cpp_tells_health_props_and_slots(client):
    async with FakeBackend(flavour="llama_cpp") as fake:
        answers = []
        for path in ("/health", "/props", "/slots", "/v1/models"):
            async with client.get(fake.url + path) as response:
                answers.append(await response.json())
    health, props, slots, models = answers
    assert health == {"status": "ok"}
    assert (props["total_slots"], props["chat_template_caps"]["supports_tools"]) == (4, True)
    assert [slot["is_processing"] for slot in slots] == [False] * 4
    assert models["data"][0]["meta"]["n_ctx"] == 4096


async def test_llama_cpp_tokens_turn_back_into_text(client):
    async with FakeBackend(flavour="llama_cpp") as fake:
        text = "one two  one "
        _, tokens = await post(client, fake, path="/tokenize", body={"content": text})
        _, content = await post(client, fake, path="/detokenize", body=tokens)
    assert content == {"content": text}


@pytest.mark.parametrize("flavour", ["openai", "llama_cpp", "ollama"])
async def test_base64_embeddings_are_the_same_numbers(client, flavour):
    async with FakeBackend([FakeModel("e", ("embedding",))], flavour=flavour) as fake:
        body = {"model": "e", "input": ["a", "b"]}
        _, plain = await post(client, fake, path="/v1/embeddings", body=body)
        _, packed = await post(client, fake, path="/v1/embeddings", body={**body, "encoding_format": "base64"})
    floats = struct.unpack("<4f", base64.b64decode(packed["data"][1]["embedding"]))
    listed = struct.unpack("<4f", struct.pack("<4f", *plain["data"][1]["embedding"]))
    assert floats == listed
    assert plain["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


async def test_openai_knows_only_v1_and_its_models(client):
    async with FakeBackend([FakeModel("org/chat")], flavour="openai") as fake:
        assert (await client.get(fake.url + "/health")).status == 404
        assert (await client.get(fake.url + "/v1/models/org/chat")).status == 200
        body = {"model": "x", "messages": MESSAGES}
        status, answer = await post(client, fake, path="/v1/chat/completions", body=body)
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


async def test_a_limit_ends_with_length(client):
    async with FakeBackend(flavour="openai") as fake:
        chunks = await events(client, fake, max_tokens=2)
    assert "".join(d.get("content", "") for d in deltas(chunks)) == "Hello from"
    assert chunks[-2]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("flavour", ["openai", "llama_cpp", "ollama"])
async def test_text_completions_stream_and_end(client, flavour):
    async with FakeBackend(flavour=flavour) as fake:
        body = {"model": fake.models[0].name, "prompt": "Say", "stream": True}
        async with client.post(fake.url + "/v1/completions", json=body) as response:
            *chunks, done = [e.removeprefix(b"data: ") for e in (await response.read()).split(b"\n\n")[:-1]]
    choices = [json.loads(chunk)["choices"][0] for chunk in chunks]
    assert "".join(choice["text"] for choice in choices) == fake.reply
    assert (choices[-1]["finish_reason"], done) == ("stop", b"[DONE]")

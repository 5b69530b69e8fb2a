"""Streams made of whole answers, where a backend has none, and whole answers made of streams."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.adapters.party import Party
from tests.fakes import FakeBackend, Faults, Scripted
from tests.running import running
from tests.surfaces.asking import CHAT, alias, asked, backends, error_of, saying, streamed
from tests.surfaces.test_chat import MODELS

pytestmark = pytest.mark.anyio

WANTED = {"stream_options": {"include_usage": True}}
PATHS = {"ollama": "/api/chat", "openai": CHAT, "llama_cpp": CHAT}
WEATHER = {
    "messages": [{"role": "user", "content": "weather?"}],
    "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}],
}


@pytest.fixture(params=["ollama", "openai", "llama_cpp"])
async def fake(request, anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour=request.param) as fake:
        yield fake


def config(fake: FakeBackend, **more) -> dict:
    target = f"desk/{MODELS[fake.flavour]}"
    return {"backends": backends({"desk": fake}, **more), "models": alias("a", target)}


def whole(fake: FakeBackend) -> dict:
    """A whole answer in the fake's own format."""
    if fake.flavour == "ollama":
        return {"model": "m", "message": {"role": "assistant", "content": "Hello."}, "done": True, "eval_count": 2}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}
    return {"id": "c", "model": "m", "choices": [choice]}


def shapes(chunks: list[dict]) -> list[str]:
    """What each chunk is for."""
    return ["usage" if not chunk["choices"] else "finish" if chunk["choices"][0]["finish_reason"] else
            "+".join(chunk["choices"][0]["delta"]) for chunk in chunks]  # fmt: skip


@pytest.mark.parametrize("setting", [{"stream": False}, {"whole_only": ["*"]}, {"whole_only": ["MODEL"]}, {}])
async def test_the_whole_answer_of_a_backend_that_cannot_stream_becomes_a_stream(fake, setting):
    """With the setting it is not asked for a stream; without, it ignores that it was."""
    chosen = {"whole_only": [MODELS[fake.flavour]]} if setting == {"whole_only": ["MODEL"]} else setting
    fake.faults = Faults(ignore_stream=not setting)
    async with running(config(fake, **chosen)) as r:
        answer = await streamed(r.client, "a", **WANTED)
    (request,) = fake.requests
    assert bool(request.json.get("stream")) is not bool(setting)
    assert ("stream_options" in request.json) is (fake.flavour != "ollama" and not setting)
    assert shapes(answer.chunks) == ["role+content", "finish", "usage"]
    assert (answer.status, answer.text, answer.done) == (200, fake.reply, True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert {(chunk["model"], chunk["object"]) for chunk in answer.chunks} == {("a", "chat.completion.chunk")}
    assert len({chunk["id"] for chunk in answer.chunks}) == 1
    assert answer.usages[0]["total_tokens"] == 6


async def test_usage_that_nobody_asked_for_is_not_in_a_made_stream(fake):
    async with running(config(fake, stream=False)) as r:
        answer = await streamed(r.client, "a")
    assert shapes(answer.chunks) == ["role+content", "finish"]


async def test_a_made_stream_estimates_what_nobody_counted(fake):
    fake.counts = False
    async with running(config(fake, stream=False)) as r:
        answer = await streamed(r.client, "a", **WANTED)
    assert [usage["estimated"] for usage in answer.usages] == [True]


async def test_reasoning_and_tool_calls_are_in_a_made_stream(fake):
    fake.thinking = "Let me see."
    async with running(config(fake, stream=False)) as r:
        answer = await streamed(r.client, "a", **WEATHER)
        fake.reset()
        told = await r.client.post(CHAT, json={**asked("a"), **WEATHER})
    said = [chunk["choices"][0]["delta"] for chunk in answer.chunks]
    assert "".join(delta.get("reasoning_content", "") for delta in said) == "Let me see."
    (call,) = [call for delta in said for call in delta.get("tool_calls", ())]
    message = told.json()["choices"][0]["message"]
    wanted = message["tool_calls"][0]["function"]
    assert call["function"]["name"] == wanted["name"]
    assert json.loads(call["function"]["arguments"]) == json.loads(wanted["arguments"])
    assert answer.finish_reasons == ["tool_calls"]


async def test_a_client_who_wants_no_stream_gets_the_whole_answer_as_it_came(fake):
    async with running(config(fake, stream=False)) as r:
        response = await r.client.post(CHAT, json=asked("a"))
    assert response.json()["choices"][0]["message"]["content"] == fake.reply
    assert response.headers["x-turnout-usage"] == "exact"


async def test_comments_go_out_while_a_whole_answer_is_made(fake):
    fake.faults = Faults(first_byte_delay_s=0.1)
    async with running({**config(fake, stream=False), "server": {"port": 0, "keepalive_s": 0.03}}) as r:
        answer = await streamed(r.client, "a")
    assert answer.pings in {2, 3}
    assert (answer.text, answer.done) == (fake.reply, True)


async def test_a_failure_of_a_backend_that_cannot_stream_keeps_its_status(fake):
    fake.faults = Faults(status=503)
    async with running(config(fake, stream=False)) as r:
        response = await r.client.post(CHAT, json=asked("a", stream=True))
    assert (response.status_code, error_of(response)["code"]) == (503, "backend_busy")


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "application/x-ndjson"])
async def test_a_whole_answer_is_known_by_its_first_byte_and_not_by_what_it_is_called(fake, indent, kind):
    body = b"\n\n" + json.dumps(whole(fake), indent=indent).replace("{\n", "{\n\n", 1).encode() + b"\n\n"
    cut = [body[at : at + 7] for at in range(0, len(body), 7)]
    fake.script(PATHS[fake.flavour], Scripted(chunks=cut, content_type=kind))
    async with running(config(fake)) as r:
        answer = await streamed(r.client, "a")
    assert (answer.text, answer.finish_reasons, answer.done) == ("Hello.", ["stop"], True)


async def test_half_a_whole_answer_is_a_failure(fake):
    half = json.dumps(whole(fake), indent=1)[:-20].encode()
    fake.script(PATHS[fake.flavour], Scripted(body=half))
    async with running(config(fake)) as r:
        response = await r.client.post(CHAT, json=asked("a", stream=True))
    assert (response.status_code, error_of(response)["type"]) == (502, "server_error")


async def test_an_event_that_is_cut_before_its_brace_is_still_an_event():
    chunk = b'{"id":"c","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    async with saying(head, b"data: ", chunk) as url:
        settings = {"backends": {"desk": {"type": "openai", "url": url, "models": ["m"]}}}
        async with running(settings) as r:
            answer = await streamed(r.client, "desk/m")
    assert (answer.text, answer.done) == ("Hi", True)


@pytest.mark.parametrize("name", ["*", "MODEL"])
async def test_a_backend_that_only_streams_serves_a_client_who_wants_the_whole(fake, name):
    async with running(config(fake, stream_only=[name.replace("MODEL", MODELS[fake.flavour])])) as r:
        response = await r.client.post(CHAT, json=asked("a"))
    (request,) = fake.requests
    assert request.json["stream"] is True
    body = response.json()
    assert (body["object"], body["model"]) == ("chat.completion", "a")
    assert body["choices"][0]["message"] == {"role": "assistant", "content": fake.reply}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == 6
    assert (response.headers["content-type"], response.headers["x-turnout-usage"]) == ("application/json", "exact")


async def test_other_models_of_the_backend_are_asked_for_what_the_client_wants(fake):
    async with running(config(fake, stream_only=["another"], whole_only=["a-third"])) as r:
        await r.client.post(CHAT, json=asked("a"))
        await streamed(r.client, "a")
    assert [bool(request.json.get("stream")) for request in fake.requests] == [False, True]


async def test_a_stream_that_breaks_before_a_whole_answer_went_out_fails_over(fake):
    fake.faults = Faults(end_after=2)
    async with FakeBackend(flavour="openai", reply="I am the other.") as other:
        settings = {
            "backends": {**backends({"desk": fake}, stream_only=["*"]), **backends({"other": other})},
            "models": alias("a", f"desk/{MODELS[fake.flavour]}", "other/fake-chat"),
        }
        async with running(settings) as r:
            response = await r.client.post(CHAT, json=asked("a"))
    assert response.json()["choices"][0]["message"]["content"] == "I am the other."
    assert response.headers["x-turnout-attempts"] == "2"


@pytest.mark.parametrize("setting", [{"stream": False}, {}])
async def test_a_whole_answer_that_nobody_understands_is_not_made_an_empty_stream(setting, anyio_backend):
    odd = {"id": "c", "model": "m", "choices": [{"message": {"content": [{"type": "text", "text": "Hi"}]}}]}
    async with FakeBackend(flavour="openai") as fake:
        fake.script(CHAT, Scripted(body=json.dumps(odd).encode()))
        async with running(config(fake, **setting)) as r:
            response = await r.client.post(CHAT, json=asked("a", stream=True))
    assert (response.status_code, error_of(response)["type"]) == (502, "server_error")


UNKNOWN = [{"type": "text", "text": "Hi"}]


@pytest.mark.parametrize(
    ("flavour", "odd"),
    [
        ("openai", {"id": "c", "model": "m", "choices": [{"delta": {"content": UNKNOWN}}]}),
        ("claude", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": UNKNOWN}}),
    ],
)
@pytest.mark.parametrize("known", [False, True])
async def test_only_a_piece_that_nobody_understands_spoils_a_stream_that_is_told_whole(flavour, odd, known):
    empty = {"id": "c", "model": "m", "choices": []} if flavour == "openai" else {"type": "ping"}
    async with FakeBackend(flavour=flavour) as fake:
        party = Party(flavour, fake, None)
        lines = [party.chunk(content="Hi"), empty if known else odd, *party.end()]
        fake.script(party.chat_path, Scripted(lines=lines))
        async with running(config(fake, stream_only=["*"])) as r:
            response = await r.client.post(CHAT, json=asked("a"))
    assert response.status_code == (200 if known else 502)


async def test_claude_streams_a_whole_answer_and_tells_a_stream_whole():
    async with FakeBackend(flavour="claude") as fake:
        async with running(config(fake, stream=False)) as r:
            answer = await streamed(r.client, "a", **WANTED)
        async with running(config(fake, stream_only=["*"])) as r:
            response = await r.client.post(CHAT, json=asked("a"))
        assert [bool(request.json.get("stream")) for request in fake.requests] == [False, True]
    assert (answer.text, answer.done) == (fake.reply, True)
    assert response.json()["choices"][0]["message"]["content"] == fake.reply

"""Claude behind the router: fallback from a local model, passive health, and what a client is told."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from router.discovery import guessed, places
from router.routing.health import State
from router.settings import Settings
from tests.fakes import FakeBackend, FakeModel, Faults, Scripted
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, error_of, streamed

pytestmark = pytest.mark.anyio

MODEL = "claude-sonnet-5"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
LOOKING = [
    {"type": "text", "text": "What is the weather here?"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
]


@dataclass(frozen=True)
class Pair:
    """A router whose alias `both` leads to a local model, then to Claude."""

    r: RunningRouter
    local: FakeBackend
    claude: FakeBackend


@pytest.fixture(params=["ollama", "llama_cpp", "openai"])
async def pair(request, anyio_backend) -> AsyncIterator[Pair]:
    local_model = FakeModel("local", ("completion", "tools", "vision"))
    async with (
        FakeBackend([local_model], flavour=request.param, reply="I am local.") as local,
        FakeBackend(flavour="claude", reply="I am Claude.") as claude,
    ):
        config = {
            "backends": {**backends({"desk": local}), **backends({"claude": claude}, api_key="sk-ant-router")},
            "models": alias("both", "desk/local", f"claude/{MODEL}"),
        }
        async with running(config) as r:
            yield Pair(r, local, claude)


@pytest.mark.parametrize("fault", [Faults(status=500), Faults(status=503), Faults(drop_after=0)])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_claude_answers_when_the_local_model_fails(pair, stream, fault):
    pair.local.faults = fault
    response = await pair.r.client.post(CHAT, json=asked("both", stream=stream, temperature=0.2, seed=1))
    assert response.status_code == 200
    assert response.headers["x-turnout-backend"] == "claude"
    assert response.headers["x-turnout-attempts"] == "2"
    assert response.headers["x-turnout-dropped"] == "temperature, seed"
    assert "temperature" not in pair.claude.requests[0].json


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_tool_loop_with_an_image_goes_on_with_claude_when_the_local_model_fails(pair, stream):
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": LOOKING}]
    first = await pair.r.client.post(CHAT, json={"model": "both", "messages": messages, "tools": [WEATHER]})
    assert first.headers["x-turnout-backend"] == "desk"
    turn = first.json()["choices"][0]["message"]
    (call,) = turn["tool_calls"]
    pair.local.faults = Faults(status=500)
    messages += [turn, {"role": "tool", "tool_call_id": call["id"], "content": "sun"}]
    body = {"model": "both", "messages": messages, "tools": [WEATHER], "stream": stream}
    response = await pair.r.client.post(CHAT, json=body)
    assert response.headers["x-turnout-backend"] == "claude"
    text = "".join(_contents(response.text)) if stream else response.json()["choices"][0]["message"]["content"]
    assert text == "I am Claude."
    sent = pair.claude.requests[0].json
    assert sent["system"] == "Be brief."
    assert sent["messages"][0]["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": PIXEL}
    assert sent["messages"][1]["content"][-1]["input"] == {"city": "Paris"}
    assert sent["messages"][2]["content"][0]["content"] == "sun"


def _contents(stream: str) -> list[str]:
    events = [event.removeprefix("data: ") for event in stream.split("\n\n") if event.startswith("data: {")]
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    return [choice["delta"].get("content") or "" for choice in choices]


async def test_the_local_model_answers_when_claude_has_no_budget_left(anyio_backend):
    async with FakeBackend(flavour="claude") as claude, FakeBackend(flavour="openai") as local:
        config = {
            "backends": backends({"claude": claude, "desk": local}),
            "models": alias("both", f"claude/{MODEL}", "desk/fake-chat"),
        }
        async with running(config) as r:
            claude.faults = Faults(status=402)
            for attempts in ("2", "1"):
                answer = await streamed(r.client, "both")
                assert (answer.text, answer.headers["x-turnout-attempts"]) == (local.reply, attempts)
                claude.faults = Faults()


@pytest.fixture
async def alone(anyio_backend) -> AsyncIterator[tuple[RunningRouter, FakeBackend]]:
    async with (
        FakeBackend(flavour="claude") as claude,
        running({"backends": backends({"claude": claude})}) as r,
    ):
        yield r, claude


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_of_the_router_is_never_the_clients_401(alone, status):
    r, claude = alone
    claude.faults = Faults(status=status)
    for stream in (False, True):
        response = await r.client.post(CHAT, json=asked(MODEL, stream=stream))
        assert (response.status_code, error_of(response)["code"]) == (502, "upstream_auth")


async def test_a_spent_budget_is_told_as_openai_tells_it(alone):
    r, claude = alone
    claude.faults = Faults(status=429)
    response = await r.client.post(CHAT, json=asked(MODEL))
    error = error_of(response)
    assert (response.status_code, error["type"], error["code"]) == (429, "insufficient_quota", "insufficient_quota")
    assert "retry-after" not in response.headers


async def test_a_heartbeat_never_asks_claude_and_the_router_is_ready_all_the_same(alone):
    r, claude = alone
    for _ in range(3):
        await r.looked()
    assert (claude.probes, claude.requests) == ([], [])
    assert r.router.fleet.health["claude"].state is State.UNKNOWN
    assert (await r.client.get("/health/ready")).status_code == 200
    assert (await r.client.get("/health")).status_code == 200


async def test_requests_tell_whether_claude_is_up(alone):
    r, claude = alone
    health = r.router.fleet.health["claude"]
    await r.client.post(CHAT, json=asked(MODEL))
    assert health.state is State.UP
    claude.faults = Faults(status=500)
    await r.client.post(CHAT, json=asked(MODEL))
    assert health.state is State.DOWN
    await r.looked()
    assert health.state is State.DOWN


async def test_claudes_models_are_listed_and_found_by_their_names(alone):
    r, _ = alone
    listed = {model["id"]: model for model in (await r.client.get("/v1/models")).json()["data"]}
    assert listed[MODEL]["owned_by"] == "anthropic"
    assert listed[MODEL]["turnout"] == {
        "backend": "claude",
        "healthy": True,
        "context_length": 1_000_000,
        "capabilities": ["chat", "thinking", "tools", "vision"],
        "size": None,
        "loaded": None,
        "targets": None,
        "tags": None,
        "strategy": None,
        "local_only": None,
    }
    response = await r.client.post(CHAT, json=asked("claude-haiku-5-5"))
    assert (response.status_code, error_of(response)["code"]) == (404, "model_not_found")


async def test_a_refusal_in_a_stream_is_told_with_its_reason(alone):
    r, claude = alone
    delta = {"stop_reason": "refusal", "stop_details": {"type": "refusal", "explanation": "Not allowed."}}
    claude.script(
        "/v1/messages",
        Scripted(lines=[{"type": "message_start", "message": {}}, {"type": "message_delta", "delta": delta},
                        {"type": "message_stop"}]),
    )  # fmt: skip
    answer = await streamed(r.client, MODEL)
    deltas = [choice["delta"] for chunk in answer.chunks for choice in chunk["choices"]]
    assert [said["refusal"] for said in deltas if "refusal" in said] == ["Not allowed."]
    assert (answer.finish_reasons, answer.done) == (["content_filter"], True)


async def test_an_overload_told_in_band_before_content_is_answered_by_the_next_target(anyio_backend):
    async with FakeBackend(flavour="claude") as claude, FakeBackend(flavour="openai") as local:
        overload = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        claude.script("/v1/messages", Scripted(lines=[overload]))
        config = {
            "backends": backends({"claude": claude, "desk": local}),
            "models": alias("both", f"claude/{MODEL}", "desk/fake-chat"),
        }
        async with running(config) as r:
            answer = await streamed(r.client, "both")
            assert (answer.text, answer.done) == (local.reply, True)
            assert r.router.fleet.health["claude"].state is not State.DOWN


def test_claude_is_a_backend_where_its_key_is_in_the_environment():
    found = places({"ANTHROPIC_API_KEY": "sk-ant-1"}, own_ports={7070})
    assert (found["claude"].type, found["claude"].url) == ("claude", "https://api.anthropic.com")
    assert "claude" not in guessed(found)
    assert "claude" not in places({"ANTHROPIC_API_KEY": " "}, own_ports={7070})


def test_an_address_of_claude_may_be_left_out_or_be_another():
    def url(**more: Any) -> str:
        backend = {"type": "claude", "api_key": "k", **more}
        return Settings.model_validate({"backends": {"claude": backend}}).backends["claude"].url

    assert url() == "https://api.anthropic.com"
    assert url(url="http://127.0.0.1:1/v1/messages") == "http://127.0.0.1:1"

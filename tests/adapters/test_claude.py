"""What is Claude's own: the SDK beneath, models that are listed beside requests, and reasoning that is signed."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from typing import Any

import pytest

from adapters.claude import Claude
from router.canonical.adapter import Attempt, BackendConfig
from router.canonical.fold import Completed, fold
from router.canonical.request import Profile
from router.dialects import openai_chat, openai_embeddings
from router.errors import (
    BackendFailed,
    BackendRefusedKey,
    ModelMissing,
    QuotaExhausted,
    RejectedByBackend,
    UnsupportedParameter,
)
from tests.fakes import FakeBackend, FakeModel, Faults, Scripted

pytestmark = pytest.mark.anyio

PATH = "/v1/messages"
KEY = "sk-ant-of-the-router"
MODEL = "claude-sonnet-5"
USER = {"role": "user", "content": "weather in Paris?"}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
BAD_SIGNATURE = {
    "type": "error",
    "error": {
        "type": "invalid_request_error",
        "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
    },
}


@dataclass
class Table:
    """An adapter and the fake it talks to."""

    adapter: Claude
    fake: FakeBackend

    async def ask(self, *, model: str = MODEL, options: Any = None, **fields: Any) -> tuple[Completed, tuple[str, ...]]:
        """The whole answer to one request, and what could not be sent."""
        body = json.dumps({"model": "shown", "messages": [USER], **fields}).encode()
        attempt = Attempt(model=model, shown="shown", profile=Profile(options=options or {}))
        async with self.adapter.chat(openai_chat.parse_request(body), attempt) as reply:
            frames = [frame async for batch in reply.batches() for frame in batch]
            return fold(event for frame in frames for event in frame.events), reply.dropped

    @property
    def last(self) -> Any:
        return self.fake.requests[-1].json


@asynccontextmanager
async def table(**config: Any) -> AsyncIterator[Table]:
    async with FakeBackend(flavour="claude") as fake:
        adapter = Claude(BackendConfig(name="claude", url=fake.url, **{"api_key": KEY, **config}))
        adapter._list_due = inf
        try:
            yield Table(adapter, fake)
        finally:
            await adapter.aclose()


@pytest.fixture
async def claude(anyio_backend) -> AsyncIterator[Table]:
    async with table() as found:
        yield found


async def test_no_variable_of_the_environment_redirects_a_request_or_its_key(anyio_backend, monkeypatch):
    async with FakeBackend(flavour="claude") as thief:
        for name in ("ANTHROPIC_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, thief.url)
        for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
            monkeypatch.setenv(name, "sk-of-somebody-else")
        monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-api-key: sk-of-somebody-else\nX-Extra: 1")
        monkeypatch.setenv("ANTHROPIC_PROFILE", "somebody")
        async with table() as claude:
            await claude.ask()
            headers = claude.fake.requests[0].headers
            assert headers["authorization"] == f"Bearer {KEY}"
            assert not {"x-api-key", "x-extra"} & headers.keys()
        assert thief.requests == []


async def test_without_a_key_none_is_sent_not_even_one_of_the_environment(anyio_backend, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-somebody-else")
    async with table(api_key=None, headers={"X-Token": "its-own"}) as claude:
        await claude.ask()
        headers = claude.fake.requests[0].headers
        assert ("authorization" in headers, headers["x-token"]) == (False, "its-own")


async def test_a_redirect_is_not_followed_with_the_key(claude):
    async with FakeBackend(flavour="claude") as thief:
        claude.fake.faults = Faults(status=307, headers={"Location": thief.url + PATH})
        with pytest.raises(Exception, match="check its url"):
            await claude.ask()
        assert thief.requests == []


async def test_a_failed_request_is_sent_once(claude):
    claude.fake.faults = Faults(status=500)
    with pytest.raises(Exception, match="claude"):
        await claude.ask()
    assert len(claude.fake.requests) == 1


def test_a_router_without_claude_does_not_import_the_sdk():
    code = "import sys, router.app, adapters; adapters.discover(); sys.exit('anthropic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=50).returncode == 0


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (Faults(status=402), QuotaExhausted),
        (Faults(status=429), QuotaExhausted),
        (Faults(status=400, body={"error": {"message": "Your credit balance is too low"}}), QuotaExhausted),
        (Faults(status=404), ModelMissing),
        (Faults(status=401), BackendRefusedKey),
        (Faults(status=413, body="<html>too large</html>"), RejectedByBackend),
    ],
    ids=["402", "429 without Retry-After", "no credit", "404", "401", "413 of the edge"],
)
async def test_what_claude_refuses_is_the_error_it_means(claude, faults, error):
    claude.fake.faults = faults
    with pytest.raises(error):
        await claude.ask()


async def test_claude_makes_no_embeddings(claude):
    asked = openai_embeddings.parse_request(b'{"model": "shown", "input": "a"}')
    with pytest.raises(UnsupportedParameter) as caught:
        await claude.adapter.embed(asked, Attempt(model=MODEL, shown="shown"))
    assert (caught.value.param, claude.fake.requests) == ("model", [])


async def test_a_long_whole_answer_is_streamed_on_its_way_here(claude):
    completed, _ = await claude.ask(max_tokens=60_000)
    assert claude.last["stream"] is True
    assert completed.choices[0].text == claude.fake.reply


async def test_prompts_are_cached_where_the_alias_wants_it(claude):
    await claude.ask()
    assert "cache_control" not in claude.last
    await claude.ask(options={"cache": True})
    assert claude.last["cache_control"] == {"type": "ephemeral"}
    await claude.ask(options={"cache": "1h"})
    assert claude.last["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


async def test_models_are_known_without_asking_anybody(claude):
    names = [model.name for model in claude.adapter.known_models()]
    assert {"claude-sonnet-5", "claude-opus-5-5", "claude-haiku-4-5"} <= set(names)
    assert claude.fake.probes == []


async def test_the_model_list_is_read_beside_a_request_once_in_a_while(claude):
    claude.fake.models = [FakeModel(MODEL, context_length=300_000)]
    claude.fake.faults = Faults(first_byte_delay_s=0.05)
    claude.adapter._list_due = 0.0
    for _ in range(3):
        await claude.ask()
    (model,) = claude.adapter.known_models()
    assert (model.name, model.context_length) == (MODEL, 300_000)
    assert [probe.path for probe in claude.fake.probes] == ["/v1/models"]


async def test_a_request_for_an_unheard_of_model_waits_for_the_list(claude):
    claude.fake.models = [FakeModel("claude-epic-9")]
    claude.adapter._list_due = 0.0
    await claude.ask(model="claude-epic-9")
    assert [model.name for model in claude.adapter.known_models()] == ["claude-epic-9"]


async def test_a_model_list_that_cannot_be_had_fails_no_request(claude):
    claude.fake.models = [FakeModel("claude-epic-9")]
    claude.fake.faults = Faults(health="fail")
    claude.adapter._list_due = 0.0
    completed, _ = await claude.ask(model="claude-epic-9")
    assert completed.choices[0].text == claude.fake.reply
    assert 0 < claude.adapter._list_due - asyncio.get_running_loop().time() <= 60


async def test_models_that_the_settings_name_are_the_only_ones_shown(anyio_backend):
    async with table(models=("claude-sonnet-5", "mine")) as claude:
        assert [model.name for model in claude.adapter.known_models()] == ["claude-sonnet-5", "mine"]


def calling(*calls: Any, **more: Any) -> dict[str, Any]:
    """An assistant's turn as a client repeats it."""
    made = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]
    return {"role": "assistant", "content": None, "tool_calls": made, **more}


def results(*calls: Any) -> list[dict[str, Any]]:
    return [{"role": "tool", "tool_call_id": call.id, "content": "sun"} for call in calls]


def kinds(message: Any) -> list[str]:
    return [block["type"] for block in message["content"]]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_reasoning_that_a_client_drops_is_put_back_in_front_of_its_tool_call(claude, stream):
    claude.fake.thinking = "Look it up."
    completed, _ = await claude.ask(tools=TOOLS, stream=stream)
    (choice,) = completed.choices
    await claude.ask(tools=TOOLS, messages=[USER, calling(*choice.tool_calls), *results(*choice.tool_calls)])
    thinking, call = claude.last["messages"][1]["content"]
    assert thinking == json.loads(bytes(choice.reasoning_blocks[0]))
    assert call["id"] == choice.tool_calls[0].id


INTERLEAVED = {
    "type": "message",
    "content": [
        {"type": "thinking", "thinking": "first", "signature": "A"},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        {"type": "thinking", "thinking": "", "signature": "B"},
        {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}},
    ],
    "stop_reason": "tool_use",
}


@pytest.mark.parametrize("echoes", [False, True], ids=["dropping client", "echoing client"])
async def test_reasoning_between_tool_calls_goes_back_where_it_was(claude, echoes):
    claude.fake.script(PATH, Scripted(lines=[INTERLEAVED]))
    completed, _ = await claude.ask(tools=TOOLS)
    (choice,) = completed.choices
    blocks = [json.loads(bytes(block)) for block in choice.reasoning_blocks] if echoes else None
    turn = calling(*choice.tool_calls, content=choice.text, thinking_blocks=blocks)
    await claude.ask(tools=TOOLS, messages=[USER, turn, *results(*choice.tool_calls)])
    assert claude.last["messages"][1]["content"] == INTERLEAVED["content"]


async def test_reasoning_of_another_conversation_is_left_out_and_the_request_sent_again(claude):
    signed = {"type": "thinking", "thinking": "hm", "signature": "of-another-conversation"}
    turn = {"role": "assistant", "content": "Sun.", "thinking_blocks": [signed]}
    claude.fake.script(PATH, Scripted(status=400, lines=[BAD_SIGNATURE]), Scripted(lines=[INTERLEAVED]))
    completed, dropped = await claude.ask(messages=[USER, turn, USER])
    assert completed.choices[0].text == "Let me see."
    first, second = [request.json["messages"][1]["content"] for request in claude.fake.requests]
    assert (first[0]["type"], second, dropped) == ("thinking", "Sun.", ("thinking_blocks",))


async def test_a_request_is_sent_again_without_reasoning_only_once(claude):
    signed = {"type": "thinking", "thinking": "hm", "signature": "of-another-conversation"}
    turn = {"role": "assistant", "content": "Sun.", "thinking_blocks": [signed]}
    claude.fake.script(PATH, Scripted(status=400, lines=[BAD_SIGNATURE]))
    with pytest.raises(RejectedByBackend):
        await claude.ask(messages=[USER, turn, USER])
    assert len(claude.fake.requests) == 2


async def test_kept_reasoning_that_was_not_accepted_is_forgotten(claude):
    claude.fake.script(PATH, Scripted(lines=[INTERLEAVED]))
    completed, _ = await claude.ask(tools=TOOLS)
    calls = completed.choices[0].tool_calls
    messages = [USER, calling(*calls), *results(*calls)]
    plain = {"type": "message", "content": [], "stop_reason": "end_turn"}
    claude.fake.script(PATH, Scripted(status=400, lines=[BAD_SIGNATURE]), Scripted(lines=[plain]))
    await claude.ask(tools=TOOLS, messages=messages)
    claude.fake.reset()
    await claude.ask(tools=TOOLS, messages=messages)
    assert kinds(claude.last["messages"][1]) == ["tool_use", "tool_use"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_json_answer_comes_without_its_fence_and_the_rule_is_the_same_each_time(claude, stream):
    claude.fake.reply = '```json\n{"a": "b `c` d"}\n```'
    for _ in range(2):
        completed, _ = await claude.ask(
            response_format={"type": "json_object"}, stream=stream, messages=[{"role": "system", "content": "S"}, USER]
        )
        assert completed.choices[0].text == '{"a": "b `c` d"}'
    assert len({request.json["system"] for request in claude.fake.requests}) == 1
    assert claude.last["messages"] == [USER]


async def test_a_cookie_of_the_backend_is_not_sent_back_with_the_next_request(anyio_backend):
    error = {"type": "error", "error": {"type": "api_error", "message": "no"}}
    async with table() as claude:
        claude.fake.script(PATH, Scripted(status=500, headers={"Set-Cookie": "who=somebody; Path=/"}, lines=[error]))
        for _ in range(2):
            with pytest.raises(BackendFailed):
                await claude.ask()
        assert "cookie" not in claude.fake.requests[1].headers


def test_the_sdk_is_not_loaded_before_a_request_needs_it():
    code = """if True:
        import asyncio, sys
        from router.app import build, close
        from router.settings import Settings
        claude = {"type": "claude", "api_key": "k", "url": "http://127.0.0.1:1"}
        router = build(Settings.model_validate({"backends": {"claude": claude}}))
        before = "anthropic" in sys.modules
        async def warm():
            await router.fleet.adapters["claude"].warm_up()
            await close(router.fleet)
        asyncio.run(warm())
        sys.exit(before or "anthropic" not in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0

"""Anthropic's clients with Claude behind the router: what they say and what it answers is passed on."""

import json
from typing import Any

import pytest

from tests.fakes import FakeBackend, FakeModel, Scripted
from tests.running import running
from tests.surfaces.asking import alias, backends
from tests.surfaces.messages import (
    CALL,
    CLAUDE_MODEL,
    HELLO,
    LOOP,
    MESSAGES,
    SIGNED,
    VERSION,
    WEATHER,
    events_of,
    said,
    serving,
    texts_of,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def claude(anyio_backend):
    async with serving("claude") as pair:
        yield pair


def raw_body(**fields: Any) -> bytes:
    """A body with escapes, numbers and an order of keys that nobody would write again."""
    text = json.dumps(said("m", **fields), separators=(",", ":"))
    return text.replace('"sun"', '"s\\u0075n \\/ 1e2"').encode()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_claude_gets_the_clients_own_bytes_but_for_the_model(claude, stream):
    fake, r = claude
    body = raw_body(
        messages=LOOP, tools=[WEATHER | {"defer_loading": True}], stream=stream, system=[{"type": "text", "text": "x"}]
    )
    response = await r.client.post(MESSAGES, content=body)
    assert response.status_code == 200, response.text
    (received,) = fake.requests
    assert received.body == body.replace(b'"model":"m"', b'"model":"%b"' % CLAUDE_MODEL.encode())


async def test_what_claude_answers_reaches_the_client_but_for_the_model(claude):
    fake, r = claude
    told = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": CLAUDE_MODEL,
        "content": [SIGNED, {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                    {"type": "text", "text": "x", "citations": [{"type": "char_location", "cited_text": "y"}]}],
        "stop_reason": "stop_sequence", "stop_sequence": "END", "container": None,
        "usage": {"input_tokens": 1, "output_tokens": 2, "service_tier": "standard"},
    }  # fmt: skip
    fake.script(MESSAGES, Scripted(lines=[told]))
    response = await r.client.post(MESSAGES, json=said("m"))
    assert response.json() == told | {"model": "m"}


async def test_the_events_of_claude_reach_the_client_but_for_the_model(claude):
    fake, r = claude
    citation = {"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "y"}}
    sent: list[Any] = [
        {"type": "message_start", "message": {"id": "msg_1", "model": CLAUDE_MODEL, "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "content_block_delta", "index": 0, "delta": citation},
        {"type": "content_block_stop", "index": 0},
        {"type": "brand_new_event", "index": 7},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    fake.script(MESSAGES, Scripted(lines=sent))
    response = await r.client.post(MESSAGES, json=said("m", stream=True))
    got = events_of(response.content)
    assert got[0]["message"].pop("model") == "m"
    sent[0]["message"].pop("model")
    assert got == sent


async def test_a_backend_without_event_lines_is_given_them(claude):
    fake, r = claude
    events = [{"type": "message_start", "message": {"model": "x"}}, {"type": "message_stop"}]
    fake.script(MESSAGES, Scripted(chunks=[f"data: {json.dumps(event)}\n\n".encode() for event in events]))
    response = await r.client.post(MESSAGES, json=said("m", stream=True))
    assert [event["type"] for event in events_of(response.content)] == ["message_start", "message_stop"]


async def test_versions_and_betas_go_to_claude_and_to_nobody_else(claude):
    fake, r = claude
    headers = [*VERSION.items(), ("anthropic-beta", "a-1,b-2"), ("anthropic-beta", "c-3"), ("x-other", "mine")]
    response = await r.client.post(
        f"{MESSAGES}?beta=true", json=said("m", context_management={"edits": []}), headers=headers
    )
    assert response.status_code == 200, response.text
    (received,) = fake.requests
    assert received.headers["anthropic-version"] == VERSION["anthropic-version"]
    assert received.headers["anthropic-beta"] == "a-1,b-2,c-3"
    assert "x-other" not in received.headers
    assert received.json["context_management"] == {"edits": []}


async def test_a_client_that_names_no_version_gets_the_routers_own(claude):
    fake, r = claude
    await r.client.post(MESSAGES, json=said("m"))
    assert fake.requests[0].headers["anthropic-version"] == "2026-10-21"
    assert "anthropic-beta" not in fake.requests[0].headers


async def test_thinking_that_nobody_signed_does_not_go_to_claude(claude):
    fake, r = claude
    foreign = [{"role": "user", "content": "a"},
               {"role": "assistant", "content": [SIGNED | {"signature": ""}, {"type": "text", "text": "b"}]},
               *HELLO]  # fmt: skip
    assert (await r.client.post(MESSAGES, json=said("m", messages=foreign))).status_code == 200
    assert fake.requests[0].json["messages"][1]["content"] == [{"type": "text", "text": "b"}]


async def test_thinking_that_claude_takes_for_foreign_is_left_out_the_second_time(claude):
    fake, r = claude
    refusal = {"type": "invalid_request_error", "message": "messages.1: Invalid `signature` in `thinking` block"}
    answer = {"type": "message", "model": CLAUDE_MODEL, "content": [{"type": "text", "text": "ok"}],
              "stop_reason": "end_turn"}  # fmt: skip
    fake.script(MESSAGES, Scripted(status=400, lines=[{"type": "error", "error": refusal}]), Scripted(lines=[answer]))
    response = await r.client.post(MESSAGES, json=said("m", messages=LOOP, tools=[WEATHER]))
    assert response.json()["content"][0]["text"] == "ok"
    first, second = (request.json["messages"] for request in fake.requests)
    assert first == LOOP
    assert second == [LOOP[0], {"role": "assistant", "content": [CALL]}, LOOP[2]]


async def test_a_stream_over_a_claude_that_only_answers_whole(anyio_backend):
    async with serving("claude", stream=False) as (fake, r):
        fake.reply = "all at once"
        response = await r.client.post(MESSAGES, json=said("m", stream=True))
    assert texts_of(events_of(response.content)) == "all at once"
    assert fake.requests[0].json["stream"] is False


def _named(fake: FakeBackend, model: str) -> dict[str, Any]:
    return {"backends": backends({"claude": fake}, api_key="k", models=[model])}


@pytest.mark.parametrize(
    ("model", "version", "goes"),
    [
        ("claude-sonnet-4-5", "2023-06-01", True),
        ("claude-sonnet-4-5", "2026-10-21", False),
        ("claude-sonnet-5", "2023-06-01", False),
        ("claude-unheard-of", "2023-06-01", True),
    ],
)
async def test_a_temperature_goes_only_where_it_is_not_refused(anyio_backend, model, version, goes):
    async with FakeBackend([FakeModel(model)], flavour="claude") as fake, running(_named(fake, model)) as r:
        body = said(model, temperature=1, top_k=5)
        response = await r.client.post(MESSAGES, json=body, headers={"anthropic-version": version})
    assert ("temperature" in fake.requests[0].json, "top_k" in fake.requests[0].json) == (goes, goes)
    if not goes:
        assert response.status_code == 200, response.text
        assert response.headers["x-turnout-dropped"] == "temperature, top_k"


async def test_an_alias_limits_the_output_of_claude_too(anyio_backend):
    async with FakeBackend([FakeModel(CLAUDE_MODEL)], flavour="claude") as fake:
        models = alias("m", f"claude/{CLAUDE_MODEL}", max_tokens=10)
        async with running({"backends": backends({"claude": fake}), "models": models}) as r:
            for asked in (50, 5):
                await r.client.post(MESSAGES, json=said("m") | {"max_tokens": asked})
    assert [request.json["max_tokens"] for request in fake.requests] == [10, 5]

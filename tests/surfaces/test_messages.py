"""`/v1/messages` for Anthropic's clients, whatever answers."""

import asyncio
import json
from typing import Any

import pytest

from tests.fakes import FakeBackend, FakeModel, Faults, Scripted
from tests.running import running
from tests.surfaces.asking import alias, backends, calling, eventually, idle, saying
from tests.surfaces.messages import (
    CLAUDE_MODEL,
    COUNT,
    HELLO,
    LOOP,
    MESSAGES,
    VERSION,
    WEATHER,
    error_of,
    events_of,
    said,
    serving,
    texts_of,
)

pytestmark = pytest.mark.anyio

LOCAL = ("ollama", "llama_cpp", "openai")


@pytest.fixture(params=LOCAL)
async def local(request, anyio_backend):
    async with serving(request.param) as pair:
        yield pair


async def test_unknown_betas_and_fields_are_accepted_by_every_backend_and_said_to_be_dropped(local):
    fake, r = local
    body = said("m", context_management={"edits": []}, diagnostics={"x": 1}, cache_control={"type": "ephemeral"})
    response = await r.client.post(
        f"{MESSAGES}?beta=true", json=body, headers={"anthropic-beta": "nobody-knows-2099", **VERSION}
    )
    assert response.status_code == 200, response.text
    assert response.headers["x-turnout-dropped"] == "context_management, diagnostics"
    assert not [name for name in fake.requests[0].headers if name.startswith("anthropic")]
    assert not {"context_management", "diagnostics", "cache_control"} & set(fake.requests[0].json)


async def test_a_tool_that_anthropic_runs_is_left_out_and_named(local):
    fake, r = local
    tools = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}, WEATHER]
    response = await r.client.post(MESSAGES, json=said("m", tools=tools))
    assert response.headers["x-turnout-dropped"] == "tools.web_search_20250305"
    assert [tool["function"]["name"] for tool in fake.requests[0].json["tools"]] == ["get_weather"]


async def test_a_system_message_inside_the_conversation_is_told_to_the_model(local):
    fake, r = local
    messages = [*HELLO, {"role": "system", "content": "Answer in French."}]
    response = await r.client.post(MESSAGES, json=said("m", system="Be brief.", messages=messages))
    assert response.status_code == 200, response.text
    told = [message for message in fake.requests[0].json["messages"] if message["role"] == "system"]
    assert "Be brief." in told[0]["content"]
    assert "Answer in French." in told[-1]["content"]
    if fake.flavour != "ollama":
        assert [message["role"] for message in fake.requests[0].json["messages"]] == ["system", "user"]


async def test_the_line_that_counts_the_clients_money_stays_away_from_local_models(local):
    fake, r = local
    for version in (1, 2):
        billing = {"type": "text", "text": f"x-anthropic-billing-header: cc_version={version};"}
        await r.client.post(MESSAGES, json=said("m", system=[billing, {"type": "text", "text": "You code."}]))
    first, second = (request.json["messages"][0] for request in fake.requests)
    assert first == second == {"role": "system", "content": "You code."}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_another_kind_of_backend_takes_over(anyio_backend, stream):
    async with FakeBackend(flavour="claude") as first, FakeBackend(flavour="openai", reply="I am second.") as second:
        config = {
            "backends": backends({"claude": first, "desk": second}),
            "models": alias("m", f"claude/{CLAUDE_MODEL}", "desk/fake-chat"),
        }
        async with running(config) as r:
            first.faults = Faults(status=529)
            response = await r.client.post(MESSAGES, json=said("m", stream=stream, messages=LOOP, tools=[WEATHER]))
            text = texts_of(events_of(response.content)) if stream else response.json()["content"][0]["text"]
            assert (text, response.headers["x-turnout-backend"]) == ("I am second.", "desk")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", "JSON"),
        (b"[]", "object"),
        (json.dumps({"max_tokens": 1, "messages": HELLO}).encode(), "model"),
        (json.dumps({"model": "m", "max_tokens": 1}).encode(), "messages"),
        (json.dumps(said("m", messages=[])).encode(), "messages"),
        (json.dumps(said("m", messages=[{"role": "robot", "content": "x"}])).encode(), "role"),
        (json.dumps(said("m", messages=[{"role": "user", "content": [{"type": "image"}]}])).encode(), "source"),
        (json.dumps(said("m", tool_choice={"type": "tool"}, tools=[WEATHER])).encode(), "tool_choice"),
        (json.dumps(said("m", tools=[{"input_schema": {}}])).encode(), "name"),
        (json.dumps(said("m", max_tokens="many")).encode(), "max_tokens"),
    ],
)
async def test_what_the_client_did_wrong_is_400_in_its_own_shape(anyio_backend, body, param):
    async with serving("openai") as (fake, r):
        response = await r.client.post(MESSAGES, content=body)
        assert response.status_code == 400, response.text
        error = error_of(response)
        assert error["type"] == "invalid_request_error"
        assert param in error["message"]
        assert fake.requests == []


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (Faults(status=401), 502, "api_error"),
        (Faults(status=500), 502, "api_error"),
        (Faults(status=503), 529, "overloaded_error"),
        (Faults(hang_before_headers=True), 504, "timeout_error"),
    ],
)
@pytest.mark.parametrize("flavour", ["claude", *LOCAL])
async def test_what_a_backend_did_wrong_is_told_in_the_clients_shape(anyio_backend, flavour, fault, status, kind):
    async with serving(flavour, timeouts={"first_token": 0.1}) as (fake, r):
        fake.faults = fault
        response = await r.client.post(MESSAGES, json=said("m"))
        assert (response.status_code, error_of(response)["type"]) == (status, kind)


@pytest.mark.parametrize("flavour", ["ollama", "llama_cpp"])
async def test_an_over_long_prompt_is_told_in_the_words_that_claude_code_knows(anyio_backend, flavour):
    async with serving(flavour) as (_, r):
        messages = [{"role": "user", "content": "word " * 200_000}]
        response = await r.client.post(MESSAGES, json=said("m", messages=messages))
        error = error_of(response)
        assert (response.status_code, error["type"]) == (400, "invalid_request_error")
        assert error["message"].startswith("prompt is too long")


@pytest.mark.parametrize("flavour", ["ollama", "llama_cpp"])
async def test_an_output_limit_that_the_format_demands_asks_for_no_room(anyio_backend, flavour):
    """Claude Code says 32000 to every model."""
    async with serving(flavour) as (fake, r):
        response = await r.client.post(MESSAGES, json=said("m", max_tokens=32_000))
        assert response.status_code == 200, response.text
        assert len(fake.requests) == 1


async def test_a_missing_key_an_unknown_route_and_a_wrong_method_have_anthropics_shape(anyio_backend):
    async with serving("openai") as (_, r):
        response = await r.client.post(f"{MESSAGES}/batches", json={})
        assert (response.status_code, error_of(response)["type"]) == (404, "not_found_error")
        response = await r.client.get(MESSAGES)
        assert (response.status_code, error_of(response)["type"]) == (405, "invalid_request_error")


@pytest.mark.parametrize("headers", [{"x-api-key": "right-key"}, {"authorization": "Bearer right-key"}])
async def test_both_headers_with_a_key_are_read_and_neither_goes_on(anyio_backend, headers):
    async with FakeBackend([FakeModel(CLAUDE_MODEL)], flavour="claude") as fake:
        config = {"backends": backends({"claude": fake}, api_key="routers-own"), "auth": {"api_keys": ["right-key"]}}
        async with running(config) as r:
            assert (await r.client.post(MESSAGES, json=said(CLAUDE_MODEL), headers=headers)).status_code == 200
            refused = await r.client.post(MESSAGES, json=said(CLAUDE_MODEL))
            assert (refused.status_code, error_of(refused)["type"]) == (401, "authentication_error")
    assert "right-key" not in str(fake.requests[0].headers)


@pytest.mark.parametrize("flavour", ["claude", *LOCAL])
async def test_a_broken_stream_ends_with_an_error_and_without_an_end(anyio_backend, flavour):
    async with serving(flavour) as (fake, r):
        for fault in (Faults(drop_after=3), Faults(end_after=3), Faults(error_at=3)):
            fake.faults = fault
            response = await r.client.post(MESSAGES, json=said("m", stream=True))
            *_, last = events = events_of(response.content)
            assert last["type"] == "error", fault
            assert set(last["error"]) == {"type", "message"}
            assert "message_stop" not in [event["type"] for event in events]


@pytest.mark.parametrize("flavour", ["claude", *LOCAL])
async def test_pings_are_sent_while_a_client_waits(anyio_backend, flavour):
    async with serving(flavour, server={"keepalive_s": 0.05}) as (fake, r):
        fake.faults = Faults(first_byte_delay_s=0.3)
        async with calling(r, MESSAGES, said("m", stream=True)) as caller:
            await caller.until(b"event: ping\ndata: {", times=2)
            assert b"message_start" not in caller.got
            await caller.until(b"message_stop")
        fake.faults = Faults(stall_after=3)
        async with calling(r, MESSAGES, said("m", stream=True)) as caller:
            await caller.until(b"text_delta")
            seen = caller.got.count(b"event: ping")
            await caller.until(b"event: ping", times=seen + 2)


@pytest.mark.parametrize("flavour", ["claude", *LOCAL])
async def test_a_client_who_leaves_frees_everything(anyio_backend, flavour):
    async with serving(flavour) as (fake, r):
        fake.faults = Faults(stall_after=3)
        async with calling(r, MESSAGES, said("m", stream=True)) as caller:
            await caller.until(b"text_delta")
            caller.leave()
            async with asyncio.timeout(1):
                await eventually(lambda: idle(r))
        await fake.until(lambda: len(fake.disconnects) == 1)


async def test_a_backend_that_says_an_error_in_a_stream_before_content_is_not_the_end(anyio_backend):
    overload = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    async with serving("claude") as (fake, r):
        fake.script(MESSAGES, Scripted(lines=[overload]))
        response = await r.client.post(MESSAGES, json=said("m", stream=True))
        assert (response.status_code, error_of(response)["type"]) == (529, "overloaded_error")
        assert int(response.headers["retry-after"]) > 0


async def test_the_count_is_the_backends_own_where_it_counts(anyio_backend):
    for flavour, exactness in (("claude", "exact"), ("llama_cpp", "exact"), ("ollama", "estimated")):
        async with serving(flavour) as (fake, r):
            body = {"model": "m", "messages": [{"role": "user", "content": "one two three"}], "system": "four"}
            response = await r.client.post(COUNT, json=body, headers={"anthropic-beta": "b-1"})
            assert response.status_code == 200, response.text
            assert set(response.json()) == {"input_tokens"}
            assert response.headers["x-turnout-usage"] == exactness
            assert fake.requests == []
            if flavour == "claude":
                (asked,) = [probe for probe in fake.probes if probe.path == COUNT]
                assert asked.json == body | {"model": CLAUDE_MODEL}
                assert asked.headers["anthropic-beta"] == "b-1"


async def test_a_count_for_nobody_is_refused(anyio_backend):
    async with serving("openai") as (_, r):
        response = await r.client.post(COUNT, json=said("nobody-has-this"))
        assert (response.status_code, error_of(response)["type"]) == (404, "not_found_error")


async def test_models_have_the_shape_of_whoever_asks(anyio_backend):
    async with serving("ollama") as (_, r):
        theirs = (await r.client.get("/v1/models", headers=VERSION)).json()
        assert [model["id"] for model in theirs["data"]] == ["m", "local"]
        assert {model["type"] for model in theirs["data"]} == {"model"}
        assert (theirs["first_id"], theirs["last_id"], theirs["has_more"]) == ("m", "local", False)
        assert (await r.client.get("/v1/models")).json()["object"] == "list"
        one = (await r.client.get("/v1/models/m", headers=VERSION)).json()
        assert (one["id"], one["max_input_tokens"]) == ("m", 4096)
        missing = await r.client.get("/v1/models/nope", headers=VERSION)
        assert (missing.status_code, error_of(missing)["type"]) == (404, "not_found_error")


async def test_models_come_in_pages(anyio_backend):
    async with serving("ollama") as (_, r):

        async def page(**query: Any) -> tuple[list[str], bool]:
            told = (await r.client.get("/v1/models", params=query, headers=VERSION)).json()
            return [model["id"] for model in told["data"]], told["has_more"]

        assert await page(limit=1) == (["m"], True)
        assert await page(limit=1, after_id="m") == (["local"], False)
        assert await page(limit=1, before_id="local") == (["m"], False)
        assert await page(after_id="local") == ([], False)
        refused = await r.client.get("/v1/models", params={"limit": "0"}, headers=VERSION)
        assert (refused.status_code, error_of(refused)["type"]) == (400, "invalid_request_error")


async def test_a_server_that_hangs_up_is_told_of_in_the_clients_shape(anyio_backend):
    async with saying(b"HTTP/1.1 200 OK\r\n\r\nnonsense") as url:
        config = {"backends": {"desk": {"type": "claude", "url": url, "api_key": "k"}}}
        async with running(config) as r:
            response = await r.client.post(MESSAGES, json=said(CLAUDE_MODEL))
            assert (response.status_code, error_of(response)["type"]) == (502, "api_error")


@pytest.mark.parametrize("flavour", ["claude", "llama_cpp"])
async def test_a_stream_that_goes_on_elsewhere_stays_one_message(anyio_backend, flavour):
    name = CLAUDE_MODEL if flavour == "claude" else "local"
    async with (
        FakeBackend([FakeModel(name)], flavour=flavour, reply="one two three four five") as first,
        FakeBackend([FakeModel("local")], flavour="llama_cpp", reply=" and more") as second,
    ):
        config = {
            "backends": backends({"first": first, "second": second}),
            "models": alias("m", f"first/{name}", "second/local", resume=True),
        }
        async with running(config) as r:
            first.faults = Faults(drop_after=4)
            response = await r.client.post(MESSAGES, json=said("m", stream=True))
            events = events_of(response.content)
            kinds = [event["type"] for event in events if event["type"] != "ping"]
            deltas = kinds.count("content_block_delta")
            assert kinds == [
                "message_start", "content_block_start", *["content_block_delta"] * deltas, "content_block_stop",
                "message_delta", "message_stop",
            ]  # fmt: skip
            assert {event["index"] for event in events if "index" in event} == {0}
            text = texts_of(events)
            assert text.startswith("one two")
            assert text.endswith("and more")
            assert second.requests[0].json["messages"][-1]["role"] == "assistant"


@pytest.mark.parametrize("flavour", LOCAL)
async def test_a_wish_to_think_is_no_reason_to_refuse(anyio_backend, flavour):
    async with (
        FakeBackend([FakeModel("plain", ("completion", "tools"))], flavour=flavour) as fake,
        running({"backends": backends({"desk": fake})}) as r,
    ):
        for wish in ({"type": "adaptive"}, {"type": "enabled", "budget_tokens": 2048}, {"type": "disabled"}):
            body = said("plain", thinking=wish, output_config={"effort": "high"})
            response = await r.client.post(MESSAGES, json=body)
            assert response.status_code == 200, response.text

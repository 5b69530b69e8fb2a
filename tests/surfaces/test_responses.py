"""`/v1/responses` on the wire: what clients see of it that the SDK hides."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.dialects.responses_reading import events_of, read
from tests.fakes import FakeBackend, FakeModel, Faults, Scripted
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, at, backends

pytestmark = pytest.mark.anyio

RESPONSES = "/v1/responses"
MODEL = "claude-sonnet-5"
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
QUESTION = {"role": "user", "content": "What is the weather?"}
ABLE = [FakeModel("able", ("completion", "tools", "vision", "thinking"))]
PIXEL = "data:image/png;base64,aGk="


def asked(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "input": "hello there", **fields}


def claude(fake: FakeBackend) -> dict[str, Any]:
    return {"backends": backends({"claude": fake}, api_key="sk-ant-router")}


async def output(r: RunningRouter, body: dict[str, Any]) -> list[dict[str, Any]]:
    response = await r.client.post(RESPONSES, json=body)
    assert response.status_code == 200, response.text
    if body.get("stream"):
        return list(read(response.content).response["output"])
    return response.json()["output"]


@pytest.fixture
async def fake(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(ABLE, flavour="openai", reply="one two three four") as fake:
        yield fake


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_claudes_signed_thoughts_come_back_to_it_through_a_router_that_remembers_nothing(anyio_backend, stream):
    async with FakeBackend(flavour="claude", reply="It is sunny.") as fake:
        fake.thinking = "I will look it up"
        body = asked(f"claude/{MODEL}", tools=[TOOL], stream=stream, store=False, input=[QUESTION])
        async with running(claude(fake)) as r:
            items = await output(r, body)
        assert [item["type"] for item in items] == ["reasoning", "function_call"]
        result = {"type": "function_call_output", "call_id": items[1]["call_id"], "output": "sun"}
        async with running(claude(fake)) as r:
            last = await output(r, {**body, "input": [QUESTION, *items, result]})
        thinking, call = fake.requests[-1].json["messages"][1]["content"]
    assert thinking == {"type": "thinking", "thinking": "I will look it up", "signature": "EqoBCkYfake"}
    assert (call["type"], call["id"]) == ("tool_use", items[1]["call_id"])
    assert last[-1]["content"][0]["text"] == "It is sunny."


async def test_every_event_is_whole(fake):
    async with running(at(fake.url)) as r:
        response = await r.client.post(RESPONSES, json=asked("desk/able", stream=True))
    found = read(response.content)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert found.response["output"][0]["content"][0]["text"] == "one two three four"


@pytest.mark.parametrize(
    "faults", [Faults(drop_after=3), Faults(end_after=3), Faults(bad_json_at=3), Faults(error_at=3)]
)
async def test_a_broken_stream_never_ends_as_if_it_were_whole(fake, faults):
    fake.faults = faults
    async with running(at(fake.url)) as r:
        response = await r.client.post(RESPONSES, json=asked("desk/able", stream=True))
    kinds = [event["type"] for event in events_of(response.content)]
    assert kinds[-2:] == ["error", "response.failed"]
    assert "response.completed" not in kinds


async def test_another_backend_takes_over_before_anything_was_said(anyio_backend, fake):
    async with FakeBackend(ABLE, flavour="ollama", reply="I am second.") as other:
        fake.faults = Faults(status=500)
        config = {"backends": backends({"a": fake, "b": other}), "models": alias("both", "a/able", "b/able")}
        async with running(config) as r:
            (item,) = await output(r, asked("both", stream=True))
    assert item["content"][0]["text"] == "I am second."


async def test_a_prompt_that_is_too_long_is_told_in_openais_words(anyio_backend):
    async with FakeBackend(ABLE, flavour="llama_cpp") as fake:
        config = {"backends": backends({"desk": fake}), "models": alias("small", "desk/able", context_length=50)}
        async with running(config) as r:
            response = await r.client.post(RESPONSES, json=asked("small", input="word " * 400))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "context_length_exceeded")


async def test_what_went_before_counts_towards_the_context(anyio_backend):
    async with FakeBackend(ABLE, flavour="llama_cpp") as fake:
        config = {"backends": backends({"desk": fake}), "models": alias("small", "desk/able", context_length=300)}
        async with running(config) as r:
            first = (await r.client.post(RESPONSES, json=asked("small", input="word " * 180))).json()
            again = asked("small", input="word " * 180, previous_response_id=first["id"])
            response = await r.client.post(RESPONSES, json=again)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "context_length_exceeded")


async def test_a_key_cannot_go_on_from_the_answers_of_another(fake):
    config = {**at(fake.url), "auth": {"api_keys": ["the-first-key", "the-second-key"]}}
    async with running(config) as r:
        one, two = ({"Authorization": f"Bearer {key}"} for key in ("the-first-key", "the-second-key"))
        first = (await r.client.post(RESPONSES, json=asked("desk/able"), headers=one)).json()
        body = asked("desk/able", previous_response_id=first["id"])
        mine, others = [await r.client.post(RESPONSES, json=body, headers=headers) for headers in (one, two)]
    assert (mine.status_code, others.status_code) == (200, 400)
    assert others.json()["error"]["code"] == "previous_response_not_found"


async def test_what_only_openai_could_do_is_dropped_and_named(fake):
    body = asked("desk/able", tools=[{"type": "web_search"}], max_tool_calls=3, text={"verbosity": "low"}, store=False)
    async with running(at(fake.url)) as r:
        response = await r.client.post(RESPONSES, json=body)
    assert response.headers["x-turnout-dropped"] == "web_search, max_tool_calls, text.verbosity"
    assert not {"tools", "store", "max_tool_calls", "text", "input"} & fake.requests[-1].json.keys()


async def test_instructions_come_first_and_as_one_message(fake):
    developer = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Use tools."}]}
    async with running(at(fake.url)) as r:
        await output(r, asked("desk/able", instructions="Be brief.", input=[developer, QUESTION]))
    system, user = fake.requests[-1].json["messages"]
    assert (system["role"], system["content"]) == ("system", "Be brief.\n\nUse tools.")
    assert user["role"] == "user"


async def test_an_image_that_a_tool_returns_is_shown_by_the_user(fake):
    call = {"type": "function_call", "call_id": "a", "name": "get_weather", "arguments": "{}"}
    photo = [{"type": "input_text", "text": "a photo"}, {"type": "input_image", "image_url": PIXEL}]
    shown = {"type": "function_call_output", "call_id": "a", "output": photo}
    async with running(at(fake.url)) as r:
        await output(r, asked("desk/able", input=[QUESTION, call, shown], tools=[TOOL]))
    *_, result, user = fake.requests[-1].json["messages"]
    assert (result["role"], result["content"]) == ("tool", "a photo")
    assert user == {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}


async def test_a_backend_that_cannot_stream_is_told_as_a_stream(fake):
    async with running(at(fake.url, stream=False)) as r:
        (item,) = await output(r, asked("desk/able", stream=True))
    assert item["content"][0]["text"] == "one two three four"


@pytest.mark.parametrize("body", [b"", b"{", b'{"model":"desk/able"}', b'{"model":"desk/able","input":{}}'])
async def test_a_mistake_of_the_client_is_a_400(fake, body):
    async with running(at(fake.url)) as r:
        for path in (RESPONSES, f"{RESPONSES}/input_tokens"):
            response = await r.client.post(path, content=body)
            assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_a_stream_that_waits_says_that_it_lives_and_fails_inside(fake):
    fake.faults = Faults(hang_before_headers=True)
    config = at(fake.url, timeouts={"first_token": 0.2})
    async with running({**config, "server": {"keepalive_s": 0.05}}) as r:
        response = await r.client.post(RESPONSES, json=asked("desk/able", stream=True))
    assert b": ping\n\n" in response.content
    assert [event["type"] for event in events_of(response.content)][-1] == "response.failed"


async def test_a_client_who_leaves_frees_the_backend(fake):
    fake.faults = Faults(stall_after=2)
    async with running(at(fake.url)) as r:
        async with r.client.stream("POST", RESPONSES, json=asked("desk/able", stream=True)) as response:
            async for _ in response.aiter_bytes():
                break
        async with asyncio.timeout(5):
            await fake.until(lambda: len(fake.disconnects) == 1)


async def test_tokens_are_counted_by_the_backend_where_it_can(anyio_backend, fake):
    async with FakeBackend(ABLE, flavour="llama_cpp") as counting:
        config = {"backends": backends({"exact": counting, "guessed": fake})}
        async with running(config) as r:
            told = [
                await r.client.post(f"{RESPONSES}/input_tokens", json=asked(f"{name}/able"))
                for name in config["backends"]
            ]
    assert [response.headers["x-turnout-usage"] for response in told] == ["exact", "estimated"]
    assert {response.json()["object"] for response in told} == {"response.input_tokens"}
    assert not fake.requests


async def test_cursors_agent_is_answered_in_chat_chunks_with_its_tools(fake):
    """It posts a Responses body to the chat completions, with tools of both formats mixed."""
    nested = {"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}
    body = asked("desk/able", stream=True, tools=[TOOL, nested, {"type": "custom", "name": "edit"}], input=[QUESTION])
    async with running(at(fake.url)) as r:
        response = await r.client.post(CHAT, json=body)
    payloads = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line.startswith("data: ")]
    assert payloads[-1] == "[DONE]"
    calls = [
        choice["delta"].get("tool_calls") for chunk in map(json.loads, payloads[:-1]) for choice in chunk["choices"]
    ]
    assert next(call for call in calls if call)[0]["function"]["name"] == "get_weather"
    assert [tool["function"]["name"] for tool in fake.requests[-1].json["tools"]] == [
        "get_weather",
        "read_file",
        "edit",
    ]


async def test_a_chat_request_without_messages_or_input_is_still_told_so(fake):
    async with running(at(fake.url)) as r:
        response = await r.client.post(CHAT, json={"model": "desk/able"})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "messages")


async def test_an_answer_without_end_marker_is_a_failure(anyio_backend):
    async with FakeBackend(ABLE, flavour="ollama") as fake:
        fake.script("/api/chat", Scripted(lines=[{"message": {"content": "Hel"}, "done": False}]))
        async with running({"backends": backends({"desk": fake})}) as r:
            response = await r.client.post(RESPONSES, json=asked("desk/able", stream=True))
    assert [event["type"] for event in events_of(response.content)][-1] == "response.failed"


@pytest.mark.parametrize("second", ["llama_cpp", "ollama"])
async def test_a_broken_stream_that_goes_on_elsewhere_is_one_response(fake, second):
    fake.reply = "One two three four five six."
    fake.faults = Faults(drop_after=4)
    async with FakeBackend(ABLE, flavour=second, reply=fake.reply) as other:
        models = alias("both", "a/able", "b/able", resume=True)
        async with running({"backends": backends({"a": fake, "b": other}), "models": models}) as r:
            response = await r.client.post(RESPONSES, json=asked("both", stream=True))
    (item,) = read(response.content).response["output"]
    assert b": resumed on b/able" in response.content
    assert item["content"][0]["text"] == fake.reply

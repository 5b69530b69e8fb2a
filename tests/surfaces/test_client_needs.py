"""What real clients need back: whatever an OpenAI-compatible server leaves out or breaks, on every surface.

opencode asks for ever when a stream ends without a reason, pi and aider take a cut text for a whole one, Zed and
OpenAI's stream helper refuse chunks that lack a field, Claude Code falls back when events have no names.
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.dialects.responses_reading import events_of as responses_events
from tests.dialects.responses_reading import read
from tests.fakes import FakeBackend, FakeModel, Faults, Scripted
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, backends
from tests.surfaces.messages import MESSAGES, events_of

pytestmark = pytest.mark.anyio

RESPONSES = "/v1/responses"
ASK = [{"role": "user", "content": "hello there"}]
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": ASK, "stream_options": {"include_usage": True}},
    RESPONSES: {"input": "hello there"},
    MESSAGES: {"messages": ASK, "max_tokens": 50},
}
COUNTS = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
surfaces = pytest.mark.parametrize("path", BODIES)


def chunk(delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "wire", "choices": [choice], **more}


def without(key: str, *chunks: Any) -> list[Any]:
    """Chunks, or their choices, without a field."""
    for one in chunks:
        if isinstance(one, dict):
            for place in (one, *one["choices"]):
                place.pop(key, None)
    return list(chunks)


def bare(delta: Mapping[str, Any]) -> dict[str, Any]:
    return {"choices": [{"delta": delta}]}


def calling(piece: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return chunk({"tool_calls": [{**piece, "function": more}]})


HI, END, DONE = chunk({"role": "assistant", "content": "Hi"}), chunk({}, "stop"), "[DONE]"
ODD: dict[str, list[Any]] = {
    "no end marker": [HI, END],
    "no usage": [HI, END, DONE],
    "usage on the finish": [HI, {**END, "usage": COUNTS}, DONE],
    "no id": without("id", chunk({"content": "Hi"}), chunk({}, "stop"), DONE),
    "no object": without("object", chunk({"content": "Hi"}), chunk({}, "stop"), DONE),
    "no index": without("index", chunk({"content": "Hi"}), chunk({}, "stop"), DONE),
    "no role": [chunk({"content": "Hi"}), END, DONE],
    "nothing but deltas": [bare({"content": "Hi"}), DONE],
    "no reason": [HI, DONE],
    "empty choices first": [{**HI, "choices": []}, HI, END, DONE],
    "unknown fields": [{**HI, "x_vendor": {"a": 1}}, END, DONE],
    "reasoning": [chunk({"reasoning_content": "hm"}), HI, END, DONE],
}


def called(finish: str | None = "tool_calls", **head: Any) -> list[Any]:
    """A call in two pieces, whose first one begins like that."""
    place = {key: value for key, value in head.items() if key == "index"}
    said = [calling(head, name="get_weather", arguments='{"city":'), calling(place, arguments='"Oslo"}')]
    return [*said, *([chunk({}, finish)] if finish else []), DONE]


CALLED: dict[str, list[Any]] = {
    "plain": called(index=0, id="a", type="function"),
    "no index": called(id="a", type="function"),
    "no id": called(index=0, type="function"),
    "no type": called(index=0, id="a"),
    "finish is stop": called("stop", index=0, id="a", type="function"),
    "no reason": called(None, index=0, id="a", type="function"),
}


def over(fake: FakeBackend) -> dict[str, Any]:
    return {"backends": backends({"desk": fake}), "models": alias("m", "desk/able")}


@pytest.fixture
async def served(anyio_backend) -> AsyncIterator[tuple[FakeBackend, RunningRouter]]:
    models = [FakeModel("able", ("completion", "tools"))]
    async with FakeBackend(models, flavour="openai") as fake, running(over(fake)) as r:
        yield fake, r


async def streamed(r: RunningRouter, path: str) -> bytes:
    response = await r.client.post(path, json={"model": "m", "stream": True, **BODIES[path]})
    assert response.headers["content-type"].startswith("text/event-stream")
    return response.content


def chunks_of(content: bytes) -> list[dict[str, Any]]:
    """A stream of chat chunks as the strictest clients read it."""
    payloads = [event[6:] for event in content.decode().split("\n\n") if event.startswith("data: ")]
    assert payloads.pop() == "[DONE]"
    found = [json.loads(payload) for payload in payloads]
    for one in found:
        assert isinstance(one["id"], str)
        assert (one["model"], type(one["created"])) == ("m", int)
        assert all(choice["index"] == 0 and isinstance(choice["delta"], dict) for choice in one["choices"])
        calls = [call for choice in one["choices"] for call in choice["delta"].get("tool_calls") or []]
        assert all(isinstance(call["index"], int) for call in calls)
        if usage := one.get("usage"):
            assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert len({one["id"] for one in found}) == 1
    assert sum(bool(one.get("usage")) for one in found) == 1
    return found


def reasons_of(found: list[dict[str, Any]]) -> list[str]:
    return [choice["finish_reason"] for one in found for choice in one["choices"] if choice.get("finish_reason")]


@pytest.mark.parametrize("odd", ODD)
async def test_a_text_from_an_odd_server_is_what_every_client_expects(served, odd):
    fake, r = served
    fake.script("/v1/chat/completions", Scripted(lines=ODD[odd]))
    found = chunks_of(await streamed(r, CHAT))
    assert "".join(choice["delta"].get("content") or "" for one in found for choice in one["choices"]) == "Hi"
    assert reasons_of(found) == ["stop"]
    response = read(await streamed(r, RESPONSES)).response
    assert (response["status"], response["output"][-1]["content"][0]["text"]) == ("completed", "Hi")
    kinds = [event["type"] for event in events_of(await streamed(r, MESSAGES))]
    assert kinds[-2:] == ["message_delta", "message_stop"]


@pytest.mark.parametrize("odd", CALLED)
async def test_a_call_from_an_odd_server_is_what_every_client_expects(served, odd):
    fake, r = served
    fake.script("/v1/chat/completions", Scripted(lines=CALLED[odd]))
    found = chunks_of(await streamed(r, CHAT))
    pieces = [call for one in found for choice in one["choices"] for call in choice["delta"].get("tool_calls") or []]
    assert pieces[0]["id"]
    assert pieces[0]["function"]["name"] == "get_weather"
    assert {piece["index"] for piece in pieces} == {0}
    assert json.loads("".join(piece["function"].get("arguments") or "" for piece in pieces)) == {"city": "Oslo"}
    assert len(reasons_of(found)) == 1
    (item,) = read(await streamed(r, RESPONSES)).response["output"]
    assert (item["type"], json.loads(item["arguments"])) == ("function_call", {"city": "Oslo"})
    assert item["call_id"]
    events = events_of(await streamed(r, MESSAGES))
    (begun,) = (event["content_block"] for event in events if event["type"] == "content_block_start")
    assert (begun["type"], bool(begun["id"])) == ("tool_use", True)
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


BROKEN = {
    "clean end in the middle": Faults(end_after=2),
    "cut in the middle": Faults(drop_after=2),
    "error in the middle": Faults(error_at=2),
    "bad JSON": Faults(bad_json_at=2),
    "no end at all": Faults(missing_end=True),
}


@surfaces
@pytest.mark.parametrize("fault", BROKEN)
async def test_a_broken_stream_never_ends_as_a_whole_one_does(served, path, fault):
    fake, r = served
    fake.faults = BROKEN[fault]
    content = await streamed(r, path)
    if path == CHAT:
        *_, last = [event for event in content.decode().split("\n\n") if event.startswith("data: ")]
        assert set(json.loads(last[6:])) == {"error"}
        assert b'finish_reason":"' not in content
    elif path == RESPONSES:
        kinds = [event["type"] for event in responses_events(content)]
        assert kinds[-2:] == ["error", "response.failed"]
        assert "response.completed" not in kinds
    else:
        kinds = [event["type"] for event in events_of(content)]
        assert kinds[-1] == "error"
        assert "message_stop" not in kinds


@surfaces
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_what_llama_cpp_says_of_long_prompts_is_told_in_words_that_clients_know(anyio_backend, path, stream):
    """codex, cline and cn look for the code as a text; Claude Code and others for the words."""
    told = {"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096,
                      "message": "the request exceeds the available context size, try increasing it"}}  # fmt: skip
    async with FakeBackend([FakeModel("able")], flavour="llama_cpp") as fake:
        fake.faults = Faults(status=400, body=told)
        async with running(over(fake)) as r:
            response = await r.client.post(path, json={"model": "m", "stream": stream, **BODIES[path]})
    error = response.json()["error"]
    assert response.status_code == 400
    if path == MESSAGES:
        assert (error["type"], error["message"][:18]) == ("invalid_request_error", "prompt is too long")
    else:
        assert error["code"] == "context_length_exceeded"


@surfaces
@pytest.mark.parametrize("status", [429, 503])
async def test_who_is_to_come_back_is_told_when(served, path, status):
    fake, r = served
    fake.faults = Faults(status=status, headers={"Retry-After": "1"})
    response = await r.client.post(path, json={"model": "m", **BODIES[path]})
    assert response.status_code == (529 if (path, status) == (MESSAGES, 503) else status)
    assert int(response.headers["retry-after"]) >= 1


@surfaces
async def test_a_key_that_a_backend_refuses_is_not_the_clients(served, path):
    fake, r = served
    fake.faults = Faults(status=401)
    response = await r.client.post(path, json={"model": "m", **BODIES[path]})
    assert response.status_code == 502


@surfaces
@pytest.mark.parametrize("status", [500, 501])
async def test_what_the_client_did_wrong_is_never_a_5xx_that_it_would_send_again(anyio_backend, path, status):
    """llama.cpp says 500 to an image that its model cannot read, and 501 to embeddings that are switched off."""
    message = {500: "image input is not supported - hint: you may need the mmproj", 501: "--jinja is needed"}[status]
    async with FakeBackend([FakeModel("able", ("completion", "vision"))], flavour="llama_cpp") as fake:
        fake.faults = Faults(
            status=status, body={"error": {"code": status, "message": message, "type": "server_error"}}
        )
        async with running(over(fake)) as r:
            response = await r.client.post(path, json={"model": "m", **BODIES[path]})
    assert response.status_code == 400, response.text

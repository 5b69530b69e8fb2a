"""`/v1/chat/completions`: finding the model, and what comes back, over every kind of backend."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.fakes import FakeBackend, FakeModel, Scripted
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, error_of, streamed

pytestmark = pytest.mark.anyio

MODELS = {"ollama": "llama3.2:latest", "openai": "fake-chat", "llama_cpp": "smollm2", "claude": "claude-sonnet-5"}
KINDS = tuple(MODELS)


@pytest.fixture(params=KINDS)
async def fake(request, anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour=request.param) as fake:
        yield fake


@pytest.fixture
async def r(fake) -> AsyncIterator[RunningRouter]:
    """One backend `desk` behind an alias `assistant`."""
    target = f"desk/{MODELS[fake.flavour]}"
    async with running({"backends": backends({"desk": fake}), "models": alias("assistant", target)}) as r:
        yield r


async def test_an_alias_is_answered_under_its_own_name(r, fake):
    response = await r.client.post(CHAT, json=asked("assistant"))
    body = response.json()
    assert response.status_code == 200
    assert (body["object"], body["model"]) == ("chat.completion", "assistant")
    assert body["choices"][0]["message"]["content"] == fake.reply
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["completion_tokens"] == 4
    assert fake.requests[0].json["model"] == MODELS[fake.flavour]


async def test_every_chunk_of_a_stream_names_the_alias(r, fake):
    answer = await streamed(r.client, "assistant")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert {chunk["model"] for chunk in answer.chunks} == {"assistant"}
    assert {chunk["object"] for chunk in answer.chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in answer.chunks}) == 1
    assert answer.text == fake.reply
    assert (answer.finish_reasons, answer.done) == (["stop"], True)


async def test_the_first_chunk_has_the_role(r):
    answer = await streamed(r.client, "assistant")
    roles = [choice["delta"].get("role") for chunk in answer.chunks for choice in chunk["choices"]]
    assert roles[0] == "assistant"
    assert set(roles[1:]) == {None}


async def test_a_model_can_be_named_with_its_backend(r, fake):
    name = f"desk/{MODELS[fake.flavour]}"
    response = await r.client.post(CHAT, json=asked(name))
    assert response.json()["model"] == name
    assert response.headers["x-turnout-reason"] == "backend desk by name"


async def test_a_model_can_be_named_alone(r, fake):
    response = await r.client.post(CHAT, json=asked(MODELS[fake.flavour]))
    assert response.json()["model"] == MODELS[fake.flavour]
    assert response.headers["x-turnout-reason"] == "model by name"


async def test_usage_is_streamed_once_and_last_when_asked_for(r):
    answer = await streamed(r.client, "assistant", stream_options={"include_usage": True})
    assert [usage["completion_tokens"] for usage in answer.usages] == [4]
    assert answer.chunks[-1]["choices"] == []
    assert answer.done


async def test_usage_is_not_streamed_unasked(r):
    answer = await streamed(r.client, "assistant")
    assert answer.usages == []
    assert all(chunk["choices"] for chunk in answer.chunks)


async def test_usage_on_the_finish_chunk_is_not_shown_unasked(r, fake):
    fake.usage_on_finish_chunk = True
    answer = await streamed(r.client, "assistant")
    assert answer.usages == []
    assert (answer.finish_reasons, answer.done) == (["stop"], True)


@pytest.mark.parametrize("stream", [False, True])
async def test_headers_say_who_answered_and_why(r, fake, stream):
    response = await r.client.post(CHAT, json=asked("assistant", stream=stream))
    told = {name: value for name, value in response.headers.items() if name.startswith("x-turnout-")}
    counted = {} if stream else {"x-turnout-usage": "exact"}
    room = {"llama_cpp": 4096, "ollama": 4096, "claude": 1_000_000}.get(fake.flavour)
    if room and not stream:
        counted["x-turnout-context"] = f"6/{room}"
    assert told == {
        "x-turnout-backend": "desk",
        "x-turnout-model": MODELS[fake.flavour],
        "x-turnout-attempts": "1",
        "x-turnout-reason": "alias assistant",
        **counted,
    }


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
async def test_the_route_also_works_without_its_version(r, path):
    assert (await r.client.post(path, json=asked("assistant"))).status_code == 200


async def test_a_tool_call_comes_whole(r, fake):
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    asking = {"messages": [{"role": "user", "content": "weather?"}], "tools": [tool]}
    body = (await r.client.post(CHAT, json=asked("assistant", **asking))).json()
    call = body["choices"][0]["message"]["tool_calls"][0]
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    assert call["function"]["name"] == "look"
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}


async def test_a_streamed_tool_call_keeps_its_id_and_its_arguments(r):
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    asking = {"messages": [{"role": "user", "content": "weather?"}], "tools": [tool]}
    answer = await streamed(r.client, "assistant", **asking)
    deltas = [
        c["delta"]["tool_calls"] for chunk in answer.chunks for c in chunk["choices"] if "tool_calls" in c["delta"]
    ]
    pieces = [call for calls in deltas for call in calls]
    assert len({call["id"] for call in pieces if call.get("id")}) == 1
    assert json.loads("".join(call["function"].get("arguments", "") for call in pieces)) == {"city": "Paris"}
    assert answer.finish_reasons == ["tool_calls"]


async def test_extra_fields_reach_ollama(anyio_backend):
    async with FakeBackend() as fake, running({"backends": backends({"desk": fake})}) as r:
        extra = {"options": {"num_keep": 8, "mirostat": 1}, "keep_alive": "5m"}
        response = await r.client.post(CHAT, json=asked("llama3.2", **extra))
    assert response.status_code == 200
    assert fake.requests[0].json["options"] == extra["options"]
    assert fake.requests[0].json["keep_alive"] == "5m"


@pytest.mark.parametrize("kind", ["openai", "llama_cpp"])
async def test_extra_fields_pass_through_where_the_format_is_the_same(kind, anyio_backend):
    async with FakeBackend(flavour=kind) as fake, running({"backends": backends({"desk": fake})}) as r:
        await r.client.post(CHAT, json=asked(MODELS[kind], mirostat=2, cache_prompt=True, grammar="root ::= x"))
    sent = fake.requests[0].json
    assert (sent["mirostat"], sent["cache_prompt"], sent["grammar"]) == (2, True, "root ::= x")


async def test_fields_that_ollama_cannot_be_told_are_named(anyio_backend):
    async with FakeBackend() as fake, running({"backends": backends({"desk": fake})}) as r:
        response = await r.client.post(CHAT, json=asked("llama3.2", logit_bias={"5": 1}, service_tier="flex"))
    assert response.status_code == 200
    assert {"logit_bias", "service_tier"} <= set(response.headers["x-turnout-dropped"].split(", "))


async def test_unknown_fields_of_a_chunk_reach_the_client_as_they_came(anyio_backend):
    said, over = '"choices":[{"index":0,"delta":{"content":"a"}}]', '"choices":[{"delta":{},"finish_reason":"stop"}]'
    chunk = '{"id":"c1","model":"fake-chat","created":7,"vendor":{"x":1.50},' + said + "}"
    end = '{"id":"c1","model":"fake-chat",' + over + ',"timings":{"q":1e3}}'
    async with FakeBackend(flavour="openai") as fake, running({"backends": backends({"desk": fake})}) as r:
        fake.script(CHAT, Scripted(lines=[chunk, end, "[DONE]"]))
        answer = await streamed(r.client, "desk/fake-chat")
    named = [text.replace('"fake-chat"', '"desk/fake-chat"') for text in (chunk, end)]
    assert answer.payloads == [*named, "[DONE]"]


@pytest.fixture
async def tasks(anyio_backend) -> AsyncIterator[RunningRouter]:
    """Three aliases, one of them for a task by setting and one by tag."""
    models = [FakeModel(name) for name in ("small", "coder", "writer")]
    async with FakeBackend(models, flavour="openai") as fake:
        config = {
            "backends": backends({"desk": fake}),
            "models": {
                **alias("plain", "desk/small"),
                **alias("code", "desk/coder"),
                **alias("prose", "desk/writer", tags=["writing"]),
            },
            "routing": {"tasks": {"refactor": "code"}, "default_model": "plain"},
        }
        async with running(config) as r:
            yield r


@pytest.mark.parametrize(
    ("body", "headers", "model"),
    [
        ({"model": "task:refactor"}, {}, "coder"),
        ({"model": "task:writing"}, {}, "writer"),
        ({"model": "auto"}, {"X-Turnout-Task": "refactor"}, "coder"),
        ({"model": "auto", "metadata": {"task": "writing"}}, {}, "writer"),
        ({"model": "auto"}, {}, "small"),
        ({"model": "nobody-knows-me"}, {}, "small"),
        ({"model": "nobody-knows-me"}, {"X-Turnout-Task": "writing"}, "writer"),
    ],
    ids=["task: setting", "task: tag", "header", "metadata", "auto", "default", "unknown with task"],
)
async def test_a_task_leads_to_its_model(tasks, body, headers, model):
    response = await tasks.client.post(CHAT, json=asked(**body), headers=headers)
    assert response.status_code == 200
    assert response.headers["x-turnout-model"] == model
    assert response.json()["model"] == body["model"]


async def test_an_unknown_task_is_an_unknown_model(tasks):
    response = await tasks.client.post(CHAT, json=asked("task:cooking"))
    assert response.status_code == 404
    assert error_of(response)["code"] == "model_not_found"


async def test_an_unknown_model_is_told_with_what_comes_close(anyio_backend):
    async with FakeBackend(flavour="openai") as fake, running({"backends": backends({"desk": fake})}) as r:
        response = await r.client.post(CHAT, json=asked("fake-chap"))
    assert response.status_code == 404
    error = error_of(response)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "fake-chat" in error["message"]
    assert fake.requests == []


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("abc-123", True), ("req_9f.Z", True), ("no spaces", False), ("x" * 129, False), ("<script>", False)],
)
async def test_a_plain_request_id_is_kept_and_any_other_replaced(tasks, sent, kept):
    response = await tasks.client.post(CHAT, json=asked("plain"), headers={"X-Request-Id": sent})
    assert (response.headers["x-request-id"] == sent) is kept
    assert response.headers.get_list("x-request-id") == [response.headers["x-request-id"]]


async def test_two_requests_have_two_ids(tasks):
    first, second = [await tasks.client.post(CHAT, json=asked("plain")) for _ in range(2)]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]

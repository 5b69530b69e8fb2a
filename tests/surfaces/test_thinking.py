"""`<think>` tags that a backend leaves in its text, on their way to a client."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.fakes import FakeBackend, FakeModel, Scripted
from tests.running import running
from tests.surfaces.asking import CHAT, alias, asked, backends, streamed

pytestmark = pytest.mark.anyio

MODEL = "deepseek-r1:8b"
TAGGED = "<think>\nLet me see.</think>\n\nIt is 4."


@pytest.fixture(params=["ollama", "openai", "llama_cpp"])
async def fake(request, anyio_backend) -> AsyncIterator[FakeBackend]:
    models = [FakeModel(MODEL, ("completion", "tools")), FakeModel("plain", ("completion",))]
    async with FakeBackend(models, flavour=request.param, reply=TAGGED) as fake:
        yield fake


def config(fake: FakeBackend, **more) -> dict:
    return {"backends": backends({"desk": fake}), "models": alias("a", "desk/" + more.pop("model", MODEL), **more)}


def reasoning(chunks: list[dict]) -> str:
    return "".join(choice["delta"].get("reasoning_content") or "" for chunk in chunks for choice in chunk["choices"])


@pytest.mark.parametrize("name", ["a", f"desk/{MODEL}"])
async def test_a_known_family_is_split_whatever_it_is_called(fake, name):
    async with running(config(fake)) as r:
        answer = await streamed(r.client, name)
        message = (await r.client.post(CHAT, json=asked(name))).json()["choices"][0]["message"]
    assert (reasoning(answer.chunks), answer.text) == ("Let me see.", "It is 4.")
    assert (answer.finish_reasons, answer.done) == (["stop"], True)
    assert len({chunk["id"] for chunk in answer.chunks}) == 1
    roles = [choice["delta"].get("role") for chunk in answer.chunks for choice in chunk["choices"]]
    assert roles.count("assistant") == 1
    assert message == {"role": "assistant", "content": "It is 4.", "reasoning_content": "Let me see."}


@pytest.mark.parametrize("more", [{"split_thinking": False}, {"model": "plain"}])
async def test_tags_stay_where_nobody_wants_them_split(fake, more):
    async with running(config(fake, **more)) as r:
        answer = await streamed(r.client, "a")
        whole = (await r.client.post(CHAT, json=asked("a"))).json()
    assert (answer.text, reasoning(answer.chunks)) == (TAGGED, "")
    assert whole["choices"][0]["message"]["content"] == TAGGED


async def test_a_lone_closing_tag_is_understood_on_demand(fake):
    fake.reply = "Let me see.</think>It is 4."
    async with running(config(fake, model="plain", split_thinking=True)) as r:
        answer = await streamed(r.client, "a")
        message = (await r.client.post(CHAT, json=asked("a"))).json()["choices"][0]["message"]
    assert (reasoning(answer.chunks), answer.text) == ("Let me see.", "It is 4.")
    assert (message["reasoning_content"], message["content"]) == ("Let me see.", "It is 4.")


async def test_a_lone_closing_tag_of_a_known_family_is_text(fake):
    fake.reply = "Let me see.</think>It is 4."
    async with running(config(fake)) as r:
        assert (await streamed(r.client, "a")).text == fake.reply


async def test_reasoning_that_the_server_splits_by_itself_is_left_alone(fake):
    fake.thinking, fake.reply = "Let me see.", "It is 4."
    async with running(config(fake, split_thinking=True)) as r:
        answer = await streamed(r.client, "a")
    said = "".join(
        choice["delta"].get("reasoning_content") or choice["delta"].get("reasoning") or ""
        for chunk in answer.chunks for choice in chunk["choices"]
    )  # fmt: skip
    assert (said, answer.text) == ("Let me see.", "It is 4.")


async def test_a_made_stream_is_split_too(fake):
    settings = config(fake)
    settings["backends"]["desk"]["stream"] = False
    async with running(settings) as r:
        answer = await streamed(r.client, "a")
    assert (reasoning(answer.chunks), answer.text, answer.done) == ("Let me see.", "It is 4.", True)


async def test_the_count_does_not_change_by_splitting(fake):
    wanted = {"stream_options": {"include_usage": True}}
    async with running(config(fake)) as r:
        (exact,) = (await streamed(r.client, "a", **wanted)).usages
        fake.counts = False
        (estimate,) = (await streamed(r.client, "a", **wanted)).usages
    assert "estimated" not in exact
    assert estimate["estimated"]
    assert estimate["completion_tokens"] == 14


@pytest.fixture
async def openai(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend([FakeModel(MODEL)], flavour="openai") as fake:
        yield fake


def chunk(**delta) -> dict:
    return {"id": "c", "model": MODEL, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], "x": "kept"}


async def test_frames_without_reasoning_are_forwarded_byte_for_byte(openai):
    said = [chunk(role="assistant", content=""), chunk(content=" <"), chunk(content="thinker>"), chunk(content=" Hi")]
    end = {
        "id": "c",
        "model": MODEL,
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "timings": {"a": 1},
    }
    openai.script(CHAT, Scripted(lines=[*said, end, "[DONE]"]))
    async with running(config(openai)) as r:
        answer = await streamed(r.client, f"desk/{MODEL}")
    shown = [{**each, "model": f"desk/{MODEL}"} for each in (*said, end)]
    text = b"".join(b"data: " + json.dumps(each, separators=(",", ":")).encode() + b"\n\n" for each in shown)
    assert answer.raw == text + b"data: [DONE]\n\n"


async def test_what_else_a_split_body_says_is_kept(openai):
    choice = {"index": 0, "message": {"role": "assistant", "content": TAGGED}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12, "cost": 1}
    openai.script(CHAT, Scripted(lines=[{"id": "c", "model": MODEL, "choices": [choice], "usage": usage, "x": "kept"}]))
    async with running(config(openai)) as r:
        body = (await r.client.post(CHAT, json=asked("a"))).json()
    assert (body["id"], body["model"], body["x"], body["usage"]) == ("c", "a", "kept", usage)
    assert body["choices"][0]["message"]["reasoning_content"] == "Let me see."


async def test_a_stream_that_breaks_inside_the_tags_says_so(openai):
    openai.script(CHAT, Scripted(lines=[chunk(content="<think>so"), {"error": {"message": "CUDA error"}}]))
    async with running(config(openai)) as r:
        answer = await streamed(r.client, "a")
    assert (reasoning(answer.chunks), len(answer.errors), answer.done) == ("so", 1, False)

"""A stream that breaks off after content and goes on with another target: told, and never where it could be wrong."""

import asyncio
import json
from dataclasses import replace

import pytest

from tests.fakes import FakeBackend, Faults
from tests.running import running
from tests.surfaces.asking import CHAT, HELLO, alias, asked, backends, calling, eventually, idle, streamed

pytestmark = pytest.mark.anyio

TEXT = "One two three four five six seven."
BROKEN_AFTER = {"openai": 4, "llama_cpp": 4, "ollama": 3, "claude": 4}
"""Frames up to and with the third word."""
BEGINNING = "One two three"
MODELS = {"ollama": "llama3.2", "openai": "fake-chat", "llama_cpp": "smollm2", "claude": "claude-sonnet-5"}
MARK = b": resumed on b/%b after 13 characters\n\n"


def fake(flavour: str, **more) -> FakeBackend:
    return FakeBackend(flavour=flavour, reply=TEXT, **more)


def config(fakes, **more):
    targets = (f"{name}/{MODELS[each.flavour]}" for name, each in fakes.items())
    limits = {"idle": 0.15, "first_token": 2}
    return {"backends": backends(fakes, timeouts=limits), "models": alias("both", *targets, resume=True, **more)}


@pytest.fixture(params=["llama_cpp", "ollama"])
async def fakes(request, anyio_backend):
    """The second can go on; the first breaks off after three words."""
    async with fake("openai") as a, fake(request.param) as b:
        a.faults = Faults(drop_after=BROKEN_AFTER["openai"])
        yield {"a": a, "b": b}


@pytest.mark.parametrize("second", ["llama_cpp", "ollama"])
@pytest.mark.parametrize("first", MODELS)
async def test_the_text_goes_on_where_it_was_and_the_stream_says_so(first, second):
    async with fake(first) as a, fake(second) as b:
        a.faults = Faults(drop_after=BROKEN_AFTER[first])
        async with running(config({"a": a, "b": b})) as r:
            answer = await streamed(r.client, "both")
            assert idle(r)
            metrics = (await r.client.get("/metrics")).text
    assert (answer.text, answer.finish_reasons, answer.done, answer.errors) == (TEXT, ["stop"], True, [])
    assert answer.raw.count(MARK % MODELS[second].encode()) == 1
    assert answer.raw.index(b"three") < answer.raw.index(b": resumed") < answer.raw.index(b"four")
    assert {(chunk["id"], chunk["model"], chunk["created"]) for chunk in answer.chunks} == {
        (answer.chunks[0]["id"], "both", answer.chunks[0]["created"])
    }
    assert sum("role" in choice["delta"] for chunk in answer.chunks for choice in chunk["choices"]) == 1
    assert 'turnout_resumed_total{backend="b"} 1.0' in metrics


BREAKS = {
    "reset": Faults(drop_after=4),
    "an end without its marker": Faults(end_after=4),
    "silence": Faults(stall_after=4),
    "an error in the stream": Faults(error_at=4),
    "half a frame": Faults(bad_json_at=4),
}


@pytest.mark.parametrize("how", BREAKS)
async def test_however_it_breaks(fakes, how):
    fakes["a"].faults = BREAKS[how]
    async with running(config(fakes)) as r:
        answer = await streamed(r.client, "both")
        assert idle(r)
    assert (answer.text, answer.done, answer.errors) == (TEXT, True, [])


async def test_what_is_sent_is_the_conversation_and_the_text_so_far(fakes):
    async with running(config(fakes, max_tokens=50)) as r:
        await streamed(r.client, "both", max_tokens=20, temperature=0.5)
    sent = fakes["b"].requests[0].json
    assert sent["messages"] == [{"role": "user", "content": "hello there"}, {"role": "assistant", "content": BEGINNING}]
    limit = sent["options"]["num_predict"] if "options" in sent else sent["max_tokens"]
    assert limit == 17
    assert sent.get("options", sent)["temperature"] == 0.5


async def test_usage_adds_up_and_says_that_it_is_estimated(fakes):
    async with running(config(fakes)) as r:
        answer = await streamed(r.client, "both", stream_options={"include_usage": True})
    (usage,) = answer.usages
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["estimated"]) == (2, 3 + 4, True)


async def test_usage_is_estimated_where_nobody_counts(fakes):
    fakes["b"].counts = False
    async with running(config(fakes)) as r:
        answer = await streamed(r.client, "both", stream_options={"include_usage": True})
    (usage,) = answer.usages
    assert usage["estimated"]
    assert usage["completion_tokens"] >= 7


async def test_it_is_off_unless_the_alias_says_so(fakes):
    settings = config(fakes)
    settings["models"]["both"]["resume"] = False
    async with running(settings) as r:
        answer = await streamed(r.client, "both")
    assert (answer.text, answer.done, len(answer.errors)) == (BEGINNING, False, 1)
    assert fakes["b"].requests == []


async def test_who_cannot_go_on_is_passed_over():
    async with fake("openai") as a, fake("openai") as b, fake("claude") as c, fake("llama_cpp") as d:
        a.faults = Faults(drop_after=4)
        async with running(config({"a": a, "b": b, "c": c, "d": d})) as r:
            answer = await streamed(r.client, "both")
        assert (answer.text, answer.done, b.requests, c.requests) == (TEXT, True, [], [])


async def test_when_going_on_fails_too_there_is_one_error_and_no_end(fakes):
    fakes["b"].faults = Faults(status=500)
    async with running(config(fakes)) as r:
        answer = await streamed(r.client, "both")
        assert idle(r)
    assert (answer.text, answer.done, len(answer.errors)) == (BEGINNING, False, 1)
    assert b": resumed" not in answer.raw


async def test_a_target_that_refuses_to_go_on_leaves_it_to_the_next():
    async with fake("openai") as a, fake("llama_cpp") as b, fake("ollama") as c:
        a.faults, b.faults = Faults(drop_after=4), Faults(status=400)
        async with running(config({"a": a, "b": b, "c": c})) as r:
            answer = await streamed(r.client, "both")
    assert (answer.text, answer.done) == (TEXT, True)
    assert b": resumed on c/" in answer.raw


async def test_it_may_break_twice():
    async with fake("openai") as a, fake("llama_cpp") as b, fake("ollama") as c:
        a.faults, b.faults = Faults(drop_after=4), Faults(drop_after=3)
        async with running(config({"a": a, "b": b, "c": c})) as r:
            answer = await streamed(r.client, "both", stream_options={"include_usage": True})
    assert (answer.text, answer.done) == (TEXT, True)
    assert answer.raw.count(b": resumed on") == 2
    assert answer.usages[0]["completion_tokens"] == 7


NEVER = {
    "several answers": {"n": 2},
    "logprobs": {"logprobs": True},
    "a JSON answer": {"response_format": {"type": "json_object"}},
    "an answer the client began": {"messages": [*HELLO, {"role": "assistant", "content": "O"}]},
}


@pytest.mark.parametrize("what", NEVER)
async def test_it_never_goes_on_with(fakes, what):
    async with running(config(fakes)) as r:
        answer = await r.client.post(CHAT, json={**asked("both", stream=True), **NEVER[what]})
    assert b"[DONE]" not in answer.content
    assert answer.content.count(b'"error"') == 1
    assert fakes["b"].requests == []


async def test_it_never_goes_on_across_thinking(fakes):
    fakes["a"].thinking = "Let me see."
    fakes["a"].faults = Faults(drop_after=6)
    async with running(config(fakes)) as r:
        answer = await streamed(r.client, "both")
    assert (answer.done, len(answer.errors), fakes["b"].requests) == (False, 1, [])


async def test_it_never_goes_on_across_thinking_that_was_written_as_tags(fakes):
    fakes["a"].reply = "<think>hm</think> One two three four five"
    async with running(config(fakes, split_thinking=True)) as r:
        answer = await streamed(r.client, "both")
    assert (answer.done, len(answer.errors), fakes["b"].requests) == (False, 1, [])


async def test_it_never_goes_on_across_a_tool_call(fakes):
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    messages = [{"role": "user", "content": "what is the weather"}]
    async with running(config(fakes)) as r:
        answer = await r.client.post(
            CHAT, json={"model": "both", "stream": True, "messages": messages, "tools": [tool]}
        )
    assert b"[DONE]" not in answer.content
    assert fakes["b"].requests == []


async def test_a_model_that_would_think_is_told_not_to(fakes):
    fakes["b"].thinking = "Let me see."
    able = ("completion", "tools", "thinking")
    fakes["b"].models = [replace(model, capabilities=able) for model in fakes["b"].models]
    async with running(config(fakes)) as r:
        answer = await streamed(r.client, "both")
    assert (answer.text, answer.done) == (TEXT, True)


async def test_a_client_who_leaves_after_the_seam_is_forgotten(fakes):
    fakes["b"].faults = Faults(stall_after=2)
    async with running(config(fakes)) as r, calling(r, body=asked("both", stream=True)) as caller:
        await caller.until(b": resumed on")
        left = asyncio.get_running_loop().time()
        caller.leave()
        await fakes["b"].until(lambda: len(fakes["b"].disconnects) == 1)
        assert fakes["b"].disconnects[0] - left < 0.1
        await eventually(lambda: idle(r))


async def test_the_record_names_who_went_on_and_how_often(fakes):
    records = []
    async with running(config(fakes), sinks=(records.append,)) as r:
        await streamed(r.client, "both")
        await eventually(lambda: bool(records))
    (record,) = records
    assert (record.backend, record.resumed, record.outcome, record.attempts) == ("b", 1, "ok", 2)
    assert [failed.backend for failed in record.failed] == ["a"]
    assert (record.usage.prompt, record.usage.completion, record.usage.estimated) == (2, 7, True)


async def test_nothing_that_the_model_said_is_logged(fakes, caplog):
    async with running(config(fakes)) as r:
        await streamed(r.client, "both")
    assert "resumed on b/" in caplog.text
    assert "three" not in caplog.text
    assert json.dumps(BEGINNING) not in caplog.text

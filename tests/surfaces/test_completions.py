"""`/v1/completions` over every kind of backend."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from router.routing.health import State
from tests.fakes import FakeBackend, FakeModel, Faults, Scripted
from tests.running import RunningRouter, running
from tests.surfaces.asking import Streamed, alias, backends, calling, error_of
from tests.surfaces.queueing import waiting

pytestmark = pytest.mark.anyio

COMPLETIONS = "/v1/completions"
KINDS = ("ollama", "llama_cpp", "openai", "claude")
FILLING = ("ollama", "llama_cpp", "openai")
PATHS = {"ollama": "/api/generate", "llama_cpp": "/completion", "openai": COMPLETIONS, "claude": "/v1/messages"}
TEXT = "Hello from the fake."
ABLE = ("completion", "tools", "insert")


@pytest.fixture(params=KINDS)
async def fake(request, anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend([FakeModel("coder", ABLE)], flavour=request.param) as fake:
        yield fake


@pytest.fixture
async def r(fake) -> AsyncIterator[RunningRouter]:
    async with running({"backends": backends({"desk": fake}), "models": alias("code", "desk/coder")}) as r:
        yield r


def only(*kinds: str) -> Any:
    return pytest.mark.parametrize("fake", kinds, indirect=True)


async def complete(r: RunningRouter, **fields: Any) -> Any:
    response = await r.client.post(COMPLETIONS, json={"model": "code", "prompt": "one two", **fields})
    assert response.status_code == 200, response.text
    return response.json()


async def stream(r: RunningRouter, **fields: Any) -> Streamed:
    body = {"model": "code", "prompt": "one two", "stream": True, **fields}
    response = await r.client.post(COMPLETIONS, json=body)
    return Streamed(response.status_code, response.headers, response.content)


def text_of(told: Streamed, choice: int = 0) -> str:
    return "".join(said["text"] for chunk in told.chunks for said in chunk["choices"] if said["index"] == choice)


def told(fake: FakeBackend, at: int = -1) -> Mapping[str, Any]:
    return fake.requests[at].json


async def test_a_text_goes_on(r, fake):
    body = await complete(r)
    assert (body["object"], body["model"]) == ("text_completion", "code")
    assert body["choices"] == [{"text": TEXT, "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert body["usage"]["total_tokens"] == 6
    assert fake.requests[-1].path == PATHS[fake.flavour]
    assert told(fake)["model"] == "coder"


async def test_a_text_goes_on_in_pieces(r):
    answer = await stream(r)
    assert (answer.status, text_of(answer), answer.done, answer.usages) == (200, TEXT, True, [])
    assert len(answer.chunks) > 2
    assert {(chunk["object"], chunk["model"]) for chunk in answer.chunks} == {("text_completion", "code")}
    assert [chunk["choices"][0]["finish_reason"] for chunk in answer.chunks][-1] == "stop"


async def test_usage_comes_at_the_end_of_a_stream_if_it_was_asked_for(r):
    answer = await stream(r, stream_options={"include_usage": True})
    assert [usage["total_tokens"] for usage in answer.usages] == [6]
    assert answer.chunks[-1]["choices"] == []


async def test_a_route_without_v1_is_the_same(r):
    assert (await r.client.post("/completions", json={"model": "code", "prompt": "hi"})).status_code == 200


async def test_an_answer_is_no_longer_than_asked(r):
    assert (await complete(r, max_tokens=2))["choices"][0] | {"logprobs": None} == {
        "text": "Hello from", "index": 0, "logprobs": None, "finish_reason": "length"
    }  # fmt: skip


async def test_an_alias_bounds_an_answer_that_nobody_else_bounds(fake):
    models = alias("code", "desk/coder", max_tokens=1)
    async with running({"backends": backends({"desk": fake}), "models": models}) as r:
        assert (await complete(r))["choices"][0]["text"] == "Hello"
        assert (await complete(r, max_tokens=3))["choices"][0]["text"] == "Hello"


async def test_every_prompt_of_a_list_has_its_answers_in_order(r, fake):
    body = await complete(r, prompt=["one two", "three"], n=2)
    assert [(choice["index"], choice["text"]) for choice in body["choices"]] == [(at, TEXT) for at in range(4)]
    answer = await stream(r, prompt=["one two", "three"])
    assert [text_of(answer, at) for at in range(2)] == [TEXT, TEXT]
    reasons = [said for chunk in answer.chunks for said in chunk["choices"] if said["finish_reason"]]
    assert sorted(said["index"] for said in reasons) == [0, 1]
    assert answer.done


@only("ollama", "llama_cpp", "claude")
async def test_what_several_prompts_cost_is_added_up(r, fake):
    body = await complete(r, prompt=["one two", "three"])
    assert body["usage"]["prompt_tokens"] == 3
    assert body["usage"]["completion_tokens"] == 8
    answer = await stream(r, prompt=["one two", "three"], stream_options={"include_usage": True})
    assert [(usage["prompt_tokens"], usage["completion_tokens"]) for usage in answer.usages] == [(3, 8)]


async def test_an_echo_begins_with_the_prompt(r, fake):
    body = await complete(r, prompt=["one two", "three"], echo=True)
    assert [choice["text"] for choice in body["choices"]] == [f"one two{TEXT}", f"three{TEXT}"]
    answer = await stream(r, prompt=["one two", "three"], echo=True)
    assert [text_of(answer, at) for at in range(2)] == [f"one two{TEXT}", f"three{TEXT}"]


@only(*FILLING)
async def test_a_gap_is_filled_in_the_servers_own_way(r, fake):
    body = await complete(r, prompt="def f(", suffix="return 1", stop=["\n"], max_tokens=8, temperature=0)
    assert body["choices"][0]["text"] == TEXT
    sent = told(fake)
    if fake.flavour == "ollama":
        assert (sent["prompt"], sent["suffix"], sent.get("raw")) == ("def f(", "return 1", None)
        assert (sent["options"]["stop"], sent["options"]["num_predict"]) == (["\n"], 8)
    elif fake.flavour == "llama_cpp":
        assert fake.requests[-1].path == "/infill"
        assert (sent["input_prefix"], sent["input_suffix"]) == ("def f(", "return 1")
        assert (sent["stop"], sent["n_predict"], sent["temperature"]) == (["\n"], 8, 0)
    else:
        assert (sent["prompt"], sent["suffix"], sent["max_tokens"]) == ("def f(", "return 1", 8)
    assert text_of(await stream(r, suffix="return 1")) == TEXT


@only("claude")
async def test_claude_is_asked_the_prompt_and_fills_no_gap(r, fake):
    await complete(r, prompt="one two")
    content = told(fake)["messages"][0]["content"]
    assert content in ("one two", [{"type": "text", "text": "one two"}])
    response = await r.client.post(COMPLETIONS, json={"model": "code", "prompt": "a", "suffix": "b"})
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "suffix")


@pytest.mark.parametrize("kind", ["ollama", "llama_cpp"])
async def test_a_model_that_fills_no_gaps_says_so(kind):
    async with (
        FakeBackend([FakeModel("plain")], flavour=kind) as fake,
        running({"backends": backends({"desk": fake})}) as r,
    ):
        response = await r.client.post(COMPLETIONS, json={"model": "plain", "prompt": "a", "suffix": "b"})
        error = error_of(response)
        assert (response.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "suffix")


@only("ollama")
async def test_a_prompt_reaches_ollama_without_a_template(r, fake):
    await complete(r)
    assert (told(fake)["raw"], told(fake)["prompt"]) == (True, "one two")


async def test_options_of_ollama_are_understood_whoever_answers(r, fake):
    options = {"temperature": 0.25, "num_predict": 2, "stop": ["END"], "top_k": 5, "num_ctx": 8192}
    body = await complete(r, options=options, keep_alive="5m")
    assert body["choices"][0]["text"] == "Hello from"
    sent = told(fake)
    if fake.flavour == "ollama":
        assert sent["options"] == {"temperature": 0.25, "num_predict": 2, "stop": ["END"], "top_k": 5}
        assert sent["keep_alive"] == "5m"
        return
    assert "options" not in sent
    assert "keep_alive" not in sent
    assert sent.get("temperature") == (0.25 if fake.flavour != "claude" else None)
    assert {"stop", "stop_sequences"} & sent.keys()


async def test_openais_own_fields_win_over_options(r):
    body = await complete(r, max_tokens=1, options={"num_predict": 3})
    assert body["choices"][0]["text"] == "Hello"


@only(*FILLING)
async def test_log_probabilities_come_in_the_lists_of_text_completions(r, fake):
    if fake.flavour == "ollama":
        line = {"model": "coder", "response": " hi", "done": True, "done_reason": "stop", "logprobs": [
            {"token": " hi", "logprob": -0.25, "top_logprobs": [{"token": " hi", "logprob": -0.25}]}]}  # fmt: skip
        fake.script("/api/generate", Scripted(lines=[line]))
    lists = (await complete(r, logprobs=1, max_tokens=1))["choices"][0]["logprobs"]
    token = lists["tokens"][0]
    assert (lists["token_logprobs"], lists["text_offset"]) == ([-0.25], [0])
    assert lists["top_logprobs"][0][token] == -0.25


@only("llama_cpp")
async def test_offsets_go_on_through_a_stream_and_leave_room_for_an_echo(r):
    for echo, begin in ((False, 0), (True, len("one two"))):
        answer = await stream(r, logprobs=0, echo=echo)
        lists = [said["logprobs"] for chunk in answer.chunks for said in chunk["choices"] if said["logprobs"]]
        offsets = [offset for each in lists for offset in each["text_offset"]]
        assert offsets == [begin, begin + 5, begin + 10, begin + 14]
        assert {each["top_logprobs"] for each in lists} == {None}
        whole = (await complete(r, logprobs=0, echo=echo))["choices"][0]["logprobs"]
        assert whole["text_offset"] == offsets


@only("llama_cpp", "openai")
async def test_token_ids_go_where_they_are_understood(r, fake):
    await complete(r, prompt=[1, 2, 3])
    assert told(fake)["prompt"] == [1, 2, 3]


@only("ollama", "claude")
async def test_token_ids_are_refused_where_nobody_knows_them(r):
    response = await r.client.post(COMPLETIONS, json={"model": "code", "prompt": [1, 2, 3]})
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (400, "unsupported_value", "prompt")


async def test_a_stream_that_breaks_ends_with_an_error_and_no_end_marker(r, fake):
    fake.faults = Faults(error_at=2)
    answer = await stream(r)
    assert answer.status == 200
    assert (len(answer.errors), answer.done) == (1, False)


@only("llama_cpp", "openai")
@pytest.mark.parametrize("second", ["llama_cpp", "ollama"])
@pytest.mark.parametrize("fields", [{}, {"suffix": "the end"}], ids=["text", "gap"])
async def test_a_text_that_breaks_off_goes_on_elsewhere_where_the_alias_allows_it(fake, second, fields):
    fake.reply = "One two three four five."
    fake.faults = Faults(drop_after=3)
    async with FakeBackend([FakeModel("coder", ABLE)], flavour=second, reply=" and more") as other:
        models = alias("code", "a/coder", "b/coder", resume=True)
        async with running({"backends": backends({"a": fake, "b": other}), "models": models}) as r:
            answer = await stream(r, max_tokens=40, **fields)
    assert answer.done
    begun = text_of(answer).removesuffix(" and more")
    assert fake.reply.startswith(begun)
    assert begun
    asked = told(other)
    assert (asked.get("prompt") or asked["input_prefix"]) == f"one two{begun}"
    limit = asked.get("n_predict") or asked["options"]["num_predict"]
    assert 0 < limit < 40


@only("openai")
@pytest.mark.parametrize("fields", [{"prompt": ["a", "b"]}, {"echo": True}, {"logprobs": 1}, {"prompt": [1, 2]}])
async def test_what_no_longer_prompt_could_ask_for_is_not_gone_on_with(fake, fields):
    fake.faults = Faults(drop_after=3)
    async with FakeBackend([FakeModel("coder", ABLE)], flavour="llama_cpp") as other:
        models = alias("code", "a/coder", "b/coder", resume=True)
        async with running({"backends": backends({"a": fake, "b": other}), "models": models}) as r:
            answer = await stream(r, **fields)
    assert (answer.done, len(answer.errors), other.requests) == (False, 1, [])


async def test_a_server_that_does_not_stream_is_told_as_a_stream(r, fake):
    fake.faults = Faults(ignore_stream=True)
    answer = await stream(r)
    assert (text_of(answer), answer.done) == (TEXT, True)


async def test_another_backend_takes_over_before_content_was_told(fake):
    async with FakeBackend([FakeModel("coder", ABLE)], flavour=fake.flavour, reply="I am second.") as second:
        fake.faults = Faults(status=500)
        models = alias("code", "desk/coder", "other/coder")
        async with running({"backends": backends({"desk": fake, "other": second}), "models": models}) as r:
            assert (await complete(r))["choices"][0]["text"] == "I am second."


async def test_a_gap_goes_to_one_that_can_fill_it():
    async with (
        FakeBackend([FakeModel("claude-sonnet-5")], flavour="claude") as first,
        FakeBackend([FakeModel("coder", ABLE)], flavour="llama_cpp", reply="filled") as second,
    ):
        models = alias("code", "first/claude-sonnet-5", "second/coder")
        async with running({"backends": backends({"first": first, "second": second}), "models": models}) as r:
            assert (await complete(r, suffix="b"))["choices"][0]["text"] == "filled"


@pytest.mark.parametrize(
    "fields", [{"suffix": "b"}, {"prompt": "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"}, {"suffix": ""}]
)
async def test_a_gap_is_a_task_of_code_and_in_a_hurry(fields):
    async with FakeBackend([FakeModel("plain"), FakeModel("coder", ABLE)], flavour="openai") as fake:
        models = {"chat": {"targets": ["desk/plain"]}, "fim": {"targets": ["desk/coder"], "tags": ["code"]}}
        async with running({"backends": backends({"desk": fake}), "models": models}) as r:
            response = await r.client.post(COMPLETIONS, json={"model": "auto", "prompt": "a", **fields})
            assert response.headers["x-turnout-reason"] == "task code by tag"
            assert told(fake)["model"] == "coder"
            response = await r.client.post(COMPLETIONS, json={"model": "auto", "prompt": "a"})
            assert told(fake)["model"] == "plain"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"best_of": 1, "n": 2}, "best_of"),
        ({"logprobs": 21}, "logprobs"),
        ({"options": {"stop": 3}}, "options.stop"),
    ],
)
@only("openai")
async def test_what_the_client_did_wrong_is_400_and_names_the_field(r, fields, param):
    response = await r.client.post(COMPLETIONS, json={"model": "code", "prompt": "a", **fields})
    assert (response.status_code, error_of(response)["param"]) == (400, param)


async def test_explicit_nulls_say_nothing(r):
    nulls = dict.fromkeys(
        ["suffix", "max_tokens", "temperature", "top_p", "n", "stream", "logprobs", "echo", "stop", "best_of", "seed"]
    )
    assert (await complete(r, prompt=["one two"], **nulls))["choices"][0]["text"] == TEXT


async def test_a_chat_only_server_is_a_clear_400_and_stays_healthy():
    async with FakeBackend([FakeModel("coder")], flavour="openai") as fake:
        fake.script(COMPLETIONS, Scripted(status=404, body=b'{"error":{"message":"Not Found"}}'))
        async with running({"backends": backends({"desk": fake})}) as r:
            response = await r.client.post(COMPLETIONS, json={"model": "coder", "prompt": "a"})
            assert (response.status_code, error_of(response)["param"]) == (400, "model")
            assert r.router.fleet.health["desk"].state is State.UP


async def test_a_gap_waits_in_front_of_what_nobody_sits_in_front_of():
    async with FakeBackend([FakeModel("coder", ABLE)], flavour="openai", faults=Faults(stall_after=1, times=1)) as fake:
        config = {"backends": backends({"desk": fake}, max_parallel=1), "server": {"keepalive_s": 0.03}}
        async with running(config) as r:
            body = {"model": "coder", "prompt": "a", "stream": True}
            async with calling(r, COMPLETIONS, body) as first:
                await first.until(b"data:")
                plain = asyncio.create_task(r.client.post(COMPLETIONS, json={"model": "coder", "prompt": "plain"}))
                await waiting(r, 1)
                gap = {"model": "coder", "prompt": "gap", "suffix": "b"}
                filled = asyncio.create_task(r.client.post(COMPLETIONS, json=gap))
                await waiting(r, 2)
            assert {(await plain).status_code, (await filled).status_code} == {200}
            assert [request.json["prompt"] for request in fake.requests] == ["a", "gap", "plain"]

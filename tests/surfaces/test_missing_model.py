"""A request for a model that nobody has, where the settings let it be pulled."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from router.pulls.state import State
from tests.fakes import FakeBackend, FakeModel, Registry
from tests.running import running
from tests.surfaces.asking import CHAT, HELLO, asked, backends, calling, error_of, eventually, idle, streamed

pytestmark = pytest.mark.anyio

EXPLAIN = "/v1/router/explain"
PULLING = {"on_missing_model": "pull"}


@pytest.fixture
async def desk(anyio_backend):
    async with FakeBackend([FakeModel("llama3.2:latest")], flavour="ollama", reply="Here I am.") as desk:
        desk.registry = Registry({"qwen3": (500, 300), "mistral": (300,), "hf.co/org/model:Q4": (300,)})
        yield desk


@asynccontextmanager
async def routed(routing=PULLING, *, desk: FakeBackend, **more):
    config = {"backends": backends({"desk": desk}), "routing": routing, **more}
    async with running(config) as r:
        yield r


def pulls(r) -> list[str]:
    return [run.pull.model for run in r.router.pulls]


@pytest.mark.parametrize(
    ("routing", "status", "reason"),
    [
        ({}, 404, None),
        ({"default_model": "desk/llama3.2"}, 200, "default model desk/llama3.2"),
        ({"default_model": "desk/llama3.2", "on_missing_model": "error"}, 404, None),
        ({"default_model": "desk/llama3.2", "on_missing_model": "default"}, 200, "default model desk/llama3.2"),
        ({"default_model": "desk/llama3.2", **PULLING}, 200, "model by name, pulled first"),
    ],
)
async def test_what_becomes_of_it_is_a_setting(desk, routing, status, reason):
    async with routed(routing, desk=desk) as r:
        response = await r.client.post(CHAT, json=asked("qwen3"))
        assert response.status_code == status
        assert response.headers.get("x-turnout-reason") == reason
        assert (await r.client.post(CHAT, json=asked("auto"))).status_code == 200
        assert pulls(r) == (["qwen3"] if routing.get("on_missing_model") == "pull" else [])


@pytest.mark.parametrize("model", ["qwen3", "desk/qwen3", "hf.co/org/model:Q4", "local"])
async def test_a_stream_tells_how_far_the_pull_is_and_then_answers(desk, model):
    desk.registry.patient = True
    local = {"local": {"targets": ["desk/mistral"]}}
    async with routed(desk=desk, models=local) as r, calling(r, CHAT, asked(model, stream=True)) as caller:
        desk.registry.let(1)
        await caller.until(b"%\n\n")
        desk.registry.release()
        got = await caller.until(b"[DONE]")
    assert b": pulling " in got
    assert b"Here" in got


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"input": "hello"}),
        ("/v1/messages", {"messages": HELLO, "max_tokens": 9}),
        ("/v1/completions", {"prompt": "hello"}),
        ("/api/chat", {"messages": HELLO}),
        ("/api/generate", {"prompt": "hello", "stream": False}),
    ],
)
async def test_every_surface_has_it_pulled(desk, path, body):
    async with routed(desk=desk) as r:
        response = await r.client.post(path, json={"model": "qwen3", **body})
        assert response.status_code == 200, response.text
        assert response.headers["x-turnout-reason"] == "model by name, pulled first"


async def test_many_requests_for_one_model_pull_it_once(desk):
    desk.registry.patient = True
    async with routed(desk=desk) as r:
        asking = [asyncio.create_task(streamed(r.client, "qwen3")) for _ in range(5)]
        await eventually(lambda: pulls(r) == ["qwen3"])
        desk.registry.release()
        answers = await asyncio.gather(*asking)
    assert [answer.text for answer in answers] == ["Here I am."] * 5
    assert desk.registry.resumed == [0]


async def test_one_backend_pulls_one_model_for_requests_at_a_time(desk):
    desk.registry.patient = True
    async with routed(desk=desk) as r:
        first = asyncio.create_task(streamed(r.client, "qwen3"))
        await eventually(lambda: pulls(r) == ["qwen3"])
        async with calling(r, CHAT, asked("mistral", stream=True)) as second:
            await second.until(b": waiting for another pull")
            assert pulls(r) == ["qwen3"]
            desk.registry.release()
            await second.until(b"[DONE]")
        assert (await first).text == "Here I am."


async def test_so_many_requests_wait_and_no_more(desk, monkeypatch):
    monkeypatch.setattr("router.pulls.asked.MAX_WAITING", 1)
    desk.registry.patient = True
    async with routed(desk=desk) as r:
        first = asyncio.create_task(streamed(r.client, "qwen3"))
        await eventually(lambda: pulls(r) == ["qwen3"])
        refused = await r.client.post(CHAT, json=asked("qwen3"))
        assert (refused.status_code, error_of(refused)["code"]) == (503, "queue_full")
        assert refused.headers["retry-after"] == "30"
        desk.registry.release()
        assert (await first).done


async def test_a_client_who_leaves_is_forgotten_and_the_pull_goes_on(desk):
    desk.registry.patient = True
    async with routed(desk=desk) as r:
        async with calling(r, CHAT, asked("qwen3", stream=True)) as caller:
            await caller.until(b": pulling ")
        await eventually(lambda: idle(r))
        desk.registry.release()
        (run,) = r.router.pulls
        await eventually(lambda: run.pull.state is State.DONE)
        assert (await r.client.post(CHAT, json=asked("qwen3"))).headers["x-turnout-reason"] == "model by name"


async def test_one_who_wants_no_stream_waits_as_long_as_a_request_may_take(desk):
    desk.registry.patient = True
    limited = {"desk": {"type": "ollama", "url": desk.url, "timeouts": {"total": 0.3}}}
    async with running({"backends": limited, "routing": PULLING}) as r:
        response = await r.client.post(CHAT, json=asked("qwen3"))
        (run,) = r.router.pulls
        assert (response.status_code, error_of(response)["code"]) == (504, "backend_timeout")
        assert "ask again later" in error_of(response)["message"]
        assert int(response.headers["retry-after"]) > 0
        assert run.pull.is_running
        desk.registry.release()
        await eventually(lambda: run.pull.state is State.DONE)


async def test_what_no_registry_has_stays_a_404_and_is_not_asked_for_again_at_once(desk):
    async with routed(desk=desk) as r:
        for _ in range(3):
            response = await r.client.post(CHAT, json=asked("gpt-9"))
            assert (response.status_code, error_of(response)["code"]) == (404, "model_not_found")
        assert pulls(r) == []
    assert len([each for each in desk.requests if each.path == "/api/pull"]) == 1


@pytest.mark.parametrize(
    "model",
    ["planted.test/org/model", "127.0.0.1:9/a/b", "localhost:1/model", "qwen3:cloud", "a b", "../x", "http://x/y"],
)
async def test_nobody_has_anything_fetched_from_a_host_that_he_names(desk, model):
    async with routed(desk=desk) as r:
        response = await r.client.post(CHAT, json=asked(model))
        assert response.status_code == 404
        assert pulls(r) == []


async def test_a_key_that_is_bound_to_models_has_nothing_pulled(desk):
    bound, free = (
        {"key": f"a-key-for-tests-{name}", "models": models} for name, models in (("bound", ["*"]), ("free", None))
    )
    async with routed(desk=desk, auth={"api_keys": [bound, free]}) as r:
        for key, status in ((bound, 404), (free, 200)):
            headers = {"authorization": f"Bearer {key['key']}"}
            assert (await r.client.post(CHAT, json=asked("qwen3"), headers=headers)).status_code == status


async def test_explaining_says_that_it_would_be_pulled_and_pulls_nothing(desk):
    async with routed(desk=desk) as r:
        told = (await r.client.post(EXPLAIN, json=asked("qwen3"))).json()
        assert told["reason"] == "nobody has it, to be pulled on desk"
        (candidate,) = told["candidates"]
        assert (candidate["backend"], candidate["model"]) == ("desk", "qwen3")
        assert candidate["note"] == "nobody has it yet: it is pulled first"
        counted = await r.client.post("/v1/messages/count_tokens", json=asked("qwen3"))
        assert counted.status_code == 404
        assert pulls(r) == []


async def test_a_pull_that_somebody_cancels_ends_the_wait_for_it(desk):
    desk.registry.patient = True
    async with routed(desk=desk) as r:
        asking = asyncio.create_task(r.client.post(CHAT, json=asked("qwen3")))
        await eventually(lambda: pulls(r) == ["qwen3"])
        (run,) = r.router.pulls
        await r.router.pulls.cancel(run.pull.id)
        response = await asking
        assert (response.status_code, "cancelled" in error_of(response)["message"]) == (503, True)


async def test_a_disk_that_is_full_is_told_to_whoever_waits(desk):
    desk.registry.room = 150
    async with routed(desk=desk) as r:
        response = await r.client.post(CHAT, json=asked("qwen3"))
        assert (response.status_code, error_of(response)["code"]) == (502, "backend_error")
        assert "no space left" in error_of(response)["message"]
        lines = (await r.client.post("/api/chat", json={"model": "qwen3", "messages": HELLO})).text
        assert "no space left" in json.loads(lines)["error"]


async def test_without_an_ollama_there_is_nothing_to_pull_with(anyio_backend):
    async with FakeBackend(flavour="openai") as other, routed(desk=other) as r:
        assert (await r.client.post(CHAT, json=asked("qwen3"))).status_code == 404


async def test_a_page_in_a_browser_has_nothing_pulled_without_a_key(desk):
    origin = {"origin": "https://page.example", "content-type": "text/plain"}
    async with routed(desk=desk) as r:
        response = await r.client.post(CHAT, content=json.dumps(asked("qwen3")), headers=origin)
        assert (response.status_code, pulls(r)) == (404, [])
    async with routed(desk=desk, auth={"api_keys": ["secret-key-of-a-page"]}) as r:
        keyed = {**origin, "authorization": "Bearer secret-key-of-a-page"}
        response = await r.client.post(CHAT, content=json.dumps(asked("qwen3")), headers=keyed)
        assert (response.status_code, pulls(r)) == (200, ["qwen3"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/generate", {"model": "qwen3", "keep_alive": 0}),
        ("/v1/rerank", {"model": "qwen3", "query": "a", "documents": ["b"]}),
        ("/tokenize", {"model": "qwen3", "content": "a"}),
    ],
)
async def test_nothing_is_pulled_to_be_let_go_or_for_what_no_ollama_does(desk, path, body):
    async with routed(desk=desk) as r:
        assert (await r.client.post(path, json=body)).status_code == 404
        assert pulls(r) == []


async def test_what_came_to_nothing_keeps_no_request_in_memory(desk):
    async with routed(desk=desk) as r:
        for number in range(3):
            await r.client.post(CHAT, json=asked(f"made-up-{number}"))
        kept = r.router.fleet.puller._refused
        assert len(kept) == 3
        assert all(error.__traceback__ is None and error.__context__ is None for _, error in kept.values())


async def test_soon_after_the_start_a_server_that_was_not_seen_may_have_it(desk):
    gone = {"type": "openai", "url": "http://127.0.0.1:9/v1"}
    async with running({"backends": {**backends({"desk": desk}), "big": gone}, "routing": PULLING}) as r:
        response = await r.client.post(CHAT, json=asked("qwen3"))
        assert (response.status_code, pulls(r)) == (503, [])
        assert "big was not" in error_of(response)["message"]
        assert int(response.headers["retry-after"]) > 0
        r.router.fleet.puller._settle_s = 0.0
        assert (await r.client.post(CHAT, json=asked("qwen3"))).status_code == 200

"""Real llama.cpp servers that the router runs: they take turns, come back after a crash, and never outlive it."""

import asyncio
import json
import os
import signal
from pathlib import Path

import httpx
import psutil
import pytest

from router import embedded
from tests.e2e.serving import served
from tests.running import running
from tests.surfaces.asking import asked, calling, eventually, idle, streamed

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not embedded.available(), reason="needs the extra `demo`"),
]

STORY = {"messages": [{"role": "user", "content": "Tell me a very long story."}], "temperature": 0}


def launched(*names: str, **more: object) -> dict[str, object]:
    launch = {"model": str(embedded.model_file()), "context_length": 512, **more}
    return {"backends": {name: {"type": "llama_cpp", "launch": launch} for name in names}}


async def processes(client: httpx.AsyncClient) -> dict[str, dict[str, object]]:
    answer = (await client.get("/v1/router/llama")).json()
    return {each["backend"]: each for each in answer["processes"]}


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_two_models_too_large_for_one_gpu_answer_thirty_alternating_requests_with_few_loads():
    config = launched("one", "two") | {"groups": {"gpu": {"members": ["one", "two"], "memory": "150MiB"}}}
    async with running(config) as r:
        before = (await r.client.get("/health")).json()
        assert {backend["state"] for backend in before["backends"]} == {"up"}

        async def ask(number: int) -> str:
            answer = await streamed(r.client, f"{('one', 'two')[number % 2]}/any", max_tokens=4)
            assert (answer.status, answer.done, answer.errors) == (200, True, [])
            return answer.raw.decode()

        told = await asyncio.gather(*(ask(number) for number in range(30)))
        assert any(": loading model" in text for text in told)
        found = await processes(r.client)
    loads = {name: found[name]["loads"] for name in found}
    assert all(loads.values())
    assert sum(loads.values()) <= 4, "requests for one model are served together"
    assert sum(found[name]["state"] == "ready" for name in found) == 1
    assert found["one"]["measured"]


async def test_a_killed_model_is_told_in_the_stream_and_the_next_request_works():
    async with running(launched("one")) as r:
        async with calling(r, body=asked("one/any", stream=True) | STORY) as caller:
            await caller.until(b"data: ", times=5)
            group = (await processes(r.client))["one"]["pid"]
            child = psutil.Process(group).children()[0]
            child.kill()
            await caller.until(b'"error"')
        assert b"closed the connection in the middle of the answer" in caller.got
        assert b"[DONE]" not in caller.got
        answer = await streamed(r.client, "one/any", max_tokens=4)
        assert (answer.status, answer.done) == (200, True)
        found = await processes(r.client)
        assert (found["one"]["loads"], found["one"]["state"]) == (2, "ready")
        await eventually(lambda: idle(r))


async def test_what_the_model_is_can_be_read_before_it_runs():
    async with running(launched("one", parallel=2)) as r:
        found = (await processes(r.client))["one"]
        listed = (await r.client.get("/v1/models")).json()
    assert (found["architecture"], found["quantization"], found["trained_length"]) == ("llama", "Q4_1", 8192)
    assert (found["context_length"], found["chat_template"], found["vision"]) == (512, True, False)
    assert found["state"] == "stopped"
    assert "SmolLM2-135M-Instruct.Q4_1" in json.dumps(listed)
    assert str(Path(str(embedded.model_file())).parent) not in json.dumps([found, listed])


async def test_nobody_else_may_use_the_port_and_no_prompt_is_in_the_log():
    async with running(launched("one")) as r:
        secret = "the password is tangerine"
        answer = await streamed(r.client, "one/any", max_tokens=8, messages=[{"role": "user", "content": secret}])
        assert answer.done
        url = r.router.fleet.adapters["one"].config.url
        async with httpx.AsyncClient() as stranger:
            refused = await stranger.post(f"{url}/v1/chat/completions", json=asked("any"))
        log = (await r.client.get("/v1/router/llama/one/logs", params={"lines": 2000})).text
    assert refused.status_code == 401
    assert "load_model" in log
    assert "tangerine" not in log
    assert str(embedded.model_file().parent) not in log


async def test_a_router_that_is_killed_leaves_no_process(tmp_path):
    config = launched("one", "two", when="always") | {"server": {"data_dir": str(tmp_path / "data")}}
    with served(tmp_path, config) as router:
        async with httpx.AsyncClient(base_url=router.url, timeout=10) as client:
            await _until_all_ready(client)
        family = psutil.Process(router.process.pid).children(recursive=True)
        assert len(family) >= 4
        os.kill(router.process.pid, signal.SIGKILL)
        await eventually(lambda: all(is_gone(each.pid) for each in family))


async def test_a_router_that_is_stopped_stops_its_processes(tmp_path):
    config = launched("one", when="always") | {"server": {"data_dir": str(tmp_path / "data")}}
    with served(tmp_path, config) as router:
        async with httpx.AsyncClient(base_url=router.url, timeout=10) as client:
            await _until_all_ready(client)
        family = psutil.Process(router.process.pid).children(recursive=True)
        assert router.terminate() == 0
        assert all(is_gone(each.pid) for each in family)
    assert not list((tmp_path / "data" / "processes").iterdir())


async def _until_all_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while any(each["state"] != "ready" for each in (await processes(client)).values()):
            await asyncio.sleep(0.05)

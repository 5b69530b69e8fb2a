"""`/v1/router/llama` and `turnout llama`: what people see of processes and may do to them."""

import asyncio

import pytest
from click.testing import CliRunner

from router.cli import main
from tests.fakes import FakeBackend
from tests.processes.test_gguf import QWEN
from tests.processes.yard import program
from tests.running import running
from tests.surfaces.asking import asked, calling, error_of, eventually, idle

pytestmark = pytest.mark.anyio


def config(folder, *acts: str, auth=None, **more):
    model = folder / "Qwen.gguf"
    model.write_bytes(QWEN)
    args = [word for act in acts for word in ("--act", act)]
    launch = {"command": program(folder), "model": str(model), "args": args, **more}
    return {
        "backends": {"desk": {"type": "llama_cpp", "launch": launch, "timeouts": {"load": 20}}},
        "auth": auth or {},
    }


async def process(r):
    (found,) = (await r.client.get("/v1/router/llama")).json()["processes"]
    return found


async def test_what_may_run_is_listed_with_what_its_file_says(tmp_path):
    async with running(config(tmp_path, memory="6GiB", parallel=2)) as r:
        assert await process(r) == {
            "backend": "desk",
            "state": "stopped",
            "when": "on_demand",
            "group": "desk",
            "model": "Qwen",
            "name": "",
            "architecture": "qwen3",
            "quantization": "Q4_K_M",
            "context_length": 20480,
            "trained_length": 40960,
            "vision": False,
            "chat_template": True,
            "size": len(QWEN),
            "memory": 6 * 1024**3,
            "measured": False,
            "requests": 0,
            "loads": 0,
            "crashes": 0,
            "percent": None,
            "pid": None,
            "error": "",
        }


async def test_it_is_started_and_stopped_by_people(tmp_path):
    async with running(config(tmp_path)) as r:
        started = await r.client.post("/v1/router/llama/desk/start")
        assert (started.status_code, started.json()["state"]) == (202, "starting")
        while (await process(r))["state"] != "ready":
            await asyncio.sleep(0.02)
        stopped = await r.client.post("/v1/router/llama/desk/stop")
        assert (stopped.status_code, stopped.json()["state"]) == (202, "stopping")
        while (await process(r))["state"] != "stopped":
            await asyncio.sleep(0.02)


async def test_a_name_that_is_not_there_is_404(tmp_path):
    async with running(config(tmp_path)) as r:
        for answer in (
            await r.client.post("/v1/router/llama/lab/start"),
            await r.client.get("/v1/router/llama/x/logs"),
        ):
            assert answer.status_code == 404
            assert error_of(answer)["code"] == "backend_not_found"


async def test_keys_that_may_administer_are_asked_for(tmp_path):
    async with running(
        config(tmp_path, auth={"api_keys": [{"key": "sesame-123", "scopes": ["admin"]}, "chatter-123"]})
    ) as r:
        assert (await r.client.get("/v1/router/llama")).status_code == 401
        assert (await r.client.post("/v1/router/llama/desk/start")).status_code == 401
        for path in ("/v1/router/llama", "/v1/router/llama/desk/logs"):
            refused = await r.client.get(path, headers={"Authorization": "Bearer chatter-123"})
            assert (refused.status_code, error_of(refused)["code"]) == (403, "insufficient_permissions")
        for act in ("start", "stop"):
            refused = await r.client.post(
                f"/v1/router/llama/desk/{act}", headers={"Authorization": "Bearer chatter-123"}
            )
            assert refused.status_code == 403
        assert not r.router.fleet.processes.runs["desk"].child.is_alive
        key = {"Authorization": "Bearer sesame-123"}
        assert (await r.client.get("/v1/router/llama", headers=key)).status_code == 200


async def test_nothing_in_a_request_gets_into_the_command(tmp_path):
    async with running(config(tmp_path, "hang")) as r:
        await r.client.post("/v1/router/llama/desk/start", json={"args": ["--evil"], "model": "/etc/passwd"})
        command = r.router.fleet.processes.runs["desk"].launch.command(1)
        assert not any("evil" in word or "passwd" in word for word in command)


async def test_who_waits_for_a_load_is_told_and_a_client_who_leaves_is_forgotten_at_once(tmp_path):
    async with running(config(tmp_path, "load=600")) as r:
        async with calling(r, body=asked("desk/any", stream=True)) as caller:
            await caller.until(b": loading model")
            found = await process(r)
            assert (found["requests"], found["state"]) == (1, "loading")
            refused = await r.client.post("/v1/router/llama/desk/stop")
            assert (refused.status_code, error_of(refused)["code"]) == (409, "backend_in_use")
        await eventually(lambda: idle(r))
        assert (await process(r))["requests"] == 0


async def test_how_far_a_load_is_is_told_once_its_time_is_known(tmp_path):
    async with running(config(tmp_path, "load=3")) as r:
        await r.client.post("/v1/router/llama/desk/start")
        while (await process(r))["state"] != "ready":
            await asyncio.sleep(0.02)
        await r.client.post("/v1/router/llama/desk/stop")
        async with calling(r, body=asked("desk/any", stream=True)) as caller:
            await caller.until(b"%\n\n", times=2)
    assert b": loading " in caller.got


async def test_a_model_that_does_not_start_is_told_and_another_target_answers_instead(tmp_path):
    async with FakeBackend(flavour="openai", reply="instead") as fake:
        broken = config(tmp_path, "exit=3")
        broken["backends"]["lab"] = {"type": "openai", "url": fake.url}
        broken["models"] = {"m": {"targets": ["desk/any", "lab/fake-chat"]}}
        async with running(broken) as r:
            answer = await r.client.post("/v1/chat/completions", json=asked("desk/any"))
            assert answer.status_code == 502
            assert error_of(answer)["message"] == "desk exited with status 3 while it was loading"
            other = await r.client.post("/v1/chat/completions", json=asked("m"))
            assert other.json()["choices"][0]["message"]["content"] == "instead"


async def test_logs_are_told_and_followed_until_the_reader_leaves(tmp_path):
    async with running(config(tmp_path)) as r:
        await r.client.post("/v1/router/llama/desk/start")
        while (await process(r))["state"] != "ready":
            await asyncio.sleep(0.02)
        last = await r.client.get("/v1/router/llama/desk/logs", params={"lines": 1})
        assert last.text.startswith("turnout: ready after ")
        path = "/v1/router/llama/desk/logs"
        async with r.client.stream("GET", path, params={"follow": True, "lines": 0}) as answer:
            r.router.fleet.processes.runs["desk"].log.add("one more line")
            assert await anext(answer.aiter_lines()) == "one more line"


async def turnout(*words: str, **environ: str):
    return await asyncio.to_thread(CliRunner().invoke, main, ["llama", *words], env=environ)


async def test_the_command_line_starts_lists_shows_and_stops(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with running(
        config(tmp_path, "load=0.5", auth={"api_keys": [{"key": "sesame-123", "scopes": ["admin"]}, "chatter-123"]})
    ) as r:
        where = {"TURNOUT_URL": r.url, "TURNOUT_API_KEY": "sesame-123"}
        started = await turnout("start", "desk", **where)
        assert started.output.splitlines()[-1] == "desk is ready", started.output
        listed = await turnout("list", **where)
        assert all(word in listed.output for word in ("desk", "ready", "Qwen", "Q4_K_M", "40,960"))
        shown = await turnout("logs", "desk", "-n", "50", **where)
        assert "stub: begins" in shown.output
        stopped = await turnout("stop", "desk", **where)
        assert stopped.output == "desk is stopped\n"
        unknown = await turnout("start", "lab", **where)
        assert (unknown.exit_code, "no llama.cpp process is called 'lab'" in unknown.output) == (1, True)
        refused = await turnout("list", TURNOUT_URL=r.url, TURNOUT_API_KEY="another-one")
        assert refused.exit_code == 1


async def test_the_command_line_tells_why_a_model_does_not_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with running(config(tmp_path, "exit=3")) as r:
        failed = await turnout("start", "desk", TURNOUT_URL=r.url)
    assert failed.exit_code == 1
    assert failed.output.splitlines()[-1] == (
        "turnout: desk exited with status 3 while it was loading; see: turnout llama logs desk"
    )


async def test_without_a_router_the_command_line_says_so():
    found = await turnout("list", TURNOUT_URL="http://127.0.0.1:9")
    told = "turnout: no router answers at http://127.0.0.1:9 (ConnectError); set TURNOUT_URL\n"
    assert (found.exit_code, found.output) == (3, told)

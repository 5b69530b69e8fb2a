"""Other settings for llama.cpp servers that the router runs: what starts, what runs on, what ends and when."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from router.settings import Settings
from tests.fakes import FakeBackend
from tests.processes.test_gguf import QWEN
from tests.processes.yard import is_gone, program
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, asked, backends, calling, error_of, eventually, idle, streamed

pytestmark = pytest.mark.anyio


def launched(folder: Path, says: str, *acts: str, **more: Any) -> dict[str, Any]:
    """A backend whose process answers with `says`."""
    model = folder / "Qwen.gguf"
    model.write_bytes(QWEN)
    args = [word for act in (f"says={says}", *acts) for word in ("--act", act)]
    launch = {"command": program(folder), "model": str(model), "args": args, "parallel": 2, **more.pop("launch", {})}
    return {"type": "llama_cpp", "launch": launch, "timeouts": {"load": 20}, **more}


def config(found: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"server": {"port": 0, "data_dir": None, "keepalive_s": 0.03}, "backends": found, **more}


def change(r: RunningRouter, found: Mapping[str, Any], **more: Any) -> None:
    assert r.router.reload.apply(Settings.model_validate(config(found, **more)))


def pid_of(r: RunningRouter, name: str) -> int:
    process = r.router.fleet.processes.runs[name].process
    assert process is not None
    return process.pid


async def test_a_new_one_is_known_by_its_file_and_started_for_a_request(tmp_path):
    async with FakeBackend(flavour="openai") as lab, running(config(backends({"lab": lab}))) as r:
        change(r, {**backends({"lab": lab}), "desk": launched(tmp_path, "I am new.")})
        await eventually(lambda: [model.name for model in r.router.fleet.health["desk"].models] == ["Qwen"])
        assert not r.router.fleet.processes.runs["desk"].child.is_alive
        assert (await streamed(r.client, "desk/Qwen")).text == "I am new."


async def test_one_that_nothing_was_said_about_runs_on_and_so_does_its_stream(tmp_path):
    go = tmp_path / "go"
    desk = launched(tmp_path, "still here", f"stall={go}")
    async with running(config({"desk": desk})) as r, calling(r, body=asked("desk/Qwen", stream=True)) as caller:
        await caller.until(b"still here")
        pid = pid_of(r, "desk")
        change(r, {"desk": desk, "more": launched(tmp_path, "more")}, groups={"gpu": {"members": ["desk", "more"]}})
        assert pid_of(r, "desk") == pid
        assert r.router.fleet.processes.runs["desk"].child.users == 1
        go.touch()
        await caller.until(b"[DONE]")
        assert (await streamed(r.client, "desk/Qwen")).text == "still here"
        assert pid_of(r, "desk") == pid


async def test_other_terms_of_the_backend_are_no_reason_to_start_it_anew(tmp_path):
    async with running(config({"desk": launched(tmp_path, "same")})) as r:
        assert (await streamed(r.client, "desk/Qwen")).text == "same"
        pid, adapter = pid_of(r, "desk"), r.router.fleet.adapters["desk"]
        other = launched(tmp_path, "same", timeouts={"load": 15}, launch={"idle_unload": "1h"})
        change(r, {"desk": other})
        assert r.router.fleet.adapters["desk"] is not adapter
        assert (await streamed(r.client, "desk/Qwen")).text == "same"
        assert pid_of(r, "desk") == pid


async def test_a_changed_one_answers_anew_while_the_old_one_finishes_its_stream(tmp_path):
    go = tmp_path / "go"
    async with running(config({"desk": launched(tmp_path, "I am old.", f"stall={go}")})) as r:
        async with calling(r, body=asked("desk/Qwen", stream=True)) as caller:
            await caller.until(b"I am old.")
            pid = pid_of(r, "desk")
            change(r, {"desk": launched(tmp_path, "I am new.")})
            assert (await streamed(r.client, "desk/Qwen")).text == "I am new."
            assert not is_gone(pid)
            listed = (await r.client.get("/v1/router/llama")).json()["processes"]
            assert [(each["state"], each["requests"]) for each in listed] == [("ready", 0), ("ready", 1)]
            go.touch()
            await caller.until(b"[DONE]")
        await eventually(lambda: is_gone(pid) and idle(r))
        assert (await streamed(r.client, "desk/Qwen")).text == "I am new."


async def test_a_changed_one_of_a_full_group_waits_until_the_old_one_is_done(tmp_path):
    go, group = tmp_path / "go", {"gpu": {"members": ["desk"], "memory": "1GiB"}}
    size = {"memory": "800MiB"}
    desk = launched(tmp_path, "I am old.", f"stall={go}", launch=size)
    started = config({"desk": desk}, groups=group)
    async with running(started) as r, calling(r, body=asked("desk/Qwen", stream=True)) as caller:
        await caller.until(b"I am old.")
        pid = pid_of(r, "desk")
        change(r, {"desk": launched(tmp_path, "I am new.", launch=size)}, groups=group)
        async with calling(r, body=asked("desk/Qwen", stream=True)) as second:
            await second.until(b": loading model")
            assert not r.router.fleet.processes.runs["desk"].child.is_alive
            go.touch()
            await caller.until(b"[DONE]")
            await second.until(b"I am new.")
            assert is_gone(pid)


async def test_a_removed_one_finishes_its_stream_and_is_gone(tmp_path):
    go = tmp_path / "go"
    async with FakeBackend(flavour="openai") as lab:
        found = {**backends({"lab": lab}), "desk": launched(tmp_path, "I stay.", f"stall={go}")}
        async with running(config(found)) as r:
            async with calling(r, body=asked("desk/Qwen", stream=True)) as caller:
                await caller.until(b"I stay.")
                pid = pid_of(r, "desk")
                change(r, backends({"lab": lab}))
                gone = await r.client.post(CHAT, json=asked("desk/Qwen"))
                assert (gone.status_code, error_of(gone)["code"]) == (404, "model_not_found")
                assert not is_gone(pid)
                go.touch()
                await caller.until(b"[DONE]")
            await eventually(lambda: is_gone(pid) and not r.router.fleet.processes.leaving)


async def test_who_waits_for_one_that_loads_is_answered_by_its_successor(tmp_path):
    async with running(config({"desk": launched(tmp_path, "never", "load=600")})) as r:
        async with calling(r, body=asked("desk/Qwen", stream=True)) as caller:
            await caller.until(b": loading model")
            change(r, {"desk": launched(tmp_path, "I am new.")})
            await caller.until(b"I am new.")
            await caller.until(b"[DONE]")
        await eventually(lambda: not r.router.fleet.processes.leaving)


async def test_a_server_that_was_elsewhere_is_run_by_the_router_from_now_on_and_back(tmp_path):
    async with FakeBackend(flavour="llama_cpp", reply="I am elsewhere.") as fake:
        there = backends({"desk": fake})
        async with running(config(there)) as r:
            name = r.router.fleet.health["desk"].models[0].name
            assert (await streamed(r.client, f"desk/{name}")).text == "I am elsewhere."
            change(r, {"desk": launched(tmp_path, "I am here.")})
            assert (await streamed(r.client, "desk/Qwen")).text == "I am here."
            pid = pid_of(r, "desk")
            change(r, there)
            assert (await streamed(r.client, f"desk/{name}")).text == "I am elsewhere."
            await eventually(lambda: is_gone(pid))


async def test_processes_of_a_group_that_is_made_while_they_run_take_turns(tmp_path):
    both = {name: launched(tmp_path, f"I am {name}.", launch={"memory": "800MiB"}) for name in ("one", "two")}
    async with running(config(both)) as r:
        for name in both:
            assert (await streamed(r.client, f"{name}/Qwen")).text == f"I am {name}."
        assert psutil.pid_exists(pid_of(r, "one"))
        change(r, both, groups={"gpu": {"members": ["one", "two"], "memory": "1GiB"}})
        said = await asyncio.gather(*(streamed(r.client, f"{name}/Qwen") for name in both))
        assert [each.text for each in said] == ["I am one.", "I am two."]
        change(r, both)
        said = await asyncio.gather(*(streamed(r.client, f"{name}/Qwen") for name in both))
        assert [each.text for each in said] == ["I am one.", "I am two."]


async def test_settings_may_change_at_any_moment_while_processes_are_used(tmp_path):
    """Nobody ever gets an error for it."""
    versions = [
        {"one": launched(tmp_path, "a"), "two": launched(tmp_path, "b")},
        {"one": launched(tmp_path, "c", weight=2.0), "two": launched(tmp_path, "b", timeouts={"load": 19})},
        {"two": launched(tmp_path, "d"), "one": launched(tmp_path, "a"), "three": launched(tmp_path, "e")},
    ]
    models = {"m": {"targets": ["one/Qwen", "two/Qwen"]}}
    async with running(config(versions[0], models=models)) as r:
        asking = [asyncio.create_task(streamed(r.client, "m")) for _ in range(4)]
        for turn in range(1, 10):
            change(r, versions[turn % 3], models=models)
            asking += [asyncio.create_task(streamed(r.client, name)) for name in ("m", "one/Qwen", "two/Qwen")]
            await asyncio.wait(asking[-2:], timeout=0.05)
        said = await asyncio.gather(*asking)
        assert all(each.done and not each.errors for each in said), [each.errors or each.status for each in said]
        await eventually(lambda: not r.router.fleet.processes.leaving)

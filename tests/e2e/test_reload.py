"""A settings file that changes under a running process."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.serving import environment, free_port, served, until_status
from tests.fakes import FakeProcess

pytestmark = pytest.mark.anyio


def config_of(url: str) -> dict[str, Any]:
    return httpx.get(f"{url}/health", timeout=5).json()["config"]


def metrics_of(url: str) -> str:
    return httpx.get(f"{url}/metrics", timeout=5).text


def slow_down(fake: FakeProcess) -> None:
    httpx.put(f"{fake.url}/__fake/faults", json={"chunk_delay_s": 0.05}, timeout=5).raise_for_status()


def said(url: str, model: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return httpx.post(f"{url}/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]


def until(url: str, **wanted: Any) -> dict[str, Any]:
    """The settings' report once it says so."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if wanted.items() <= (told := config_of(url)).items():
            return told
        time.sleep(0.02)
    raise AssertionError((wanted, told))


def rewritten(folder: Path, **changes: Any) -> None:
    file = folder / "turnout.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


async def test_edits_and_sighup_reach_the_running_process(tmp_path: Path) -> None:
    async with FakeProcess(kind="ollama", models=["m"], reply="hi") as fake:
        with served(tmp_path, {"backends": {"desk": {"type": "ollama", "url": fake.url}}}) as running:
            rewritten(tmp_path, models={"new": {"targets": ["desk/m"]}})
            until(running.url, applied=1, status="ok")
            answer = said(running.url, "new")
            rewritten(tmp_path, models={"new": {"targets": ["nobody/m"]}})
            refused = until(running.url, refused=1, status="refused", applied=1)
            still, metrics = said(running.url, "new"), metrics_of(running.url)
            rewritten(tmp_path, models={})
            until(running.url, status="ok", applied=2)
            running.process.send_signal(signal.SIGHUP)
            until(running.url, status="ok", applied=3)
            assert running.terminate() == 0
            log = running.log.read_text()
    assert (answer, still) == ("hi", "hi")
    assert "nobody" in refused["problems"][0]
    assert "turnout_config_valid 0.0" in metrics
    assert 'turnout_config_reloads_total{result="refused"} 1.0' in metrics
    assert str(tmp_path) not in str(refused)
    assert "the changed settings are not used" in log


async def test_streams_and_lines_outlast_an_edit(tmp_path: Path) -> None:
    async with FakeProcess(kind="openai", models=["m"], reply="word " * 40) as fake:
        slow_down(fake)
        backend = {"type": "openai", "url": fake.url, "max_parallel": 1}
        with served(tmp_path, {"backends": {"desk": backend}}) as running:
            body = {"model": "desk/m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
            async with httpx.AsyncClient(base_url=running.url, timeout=30) as client:
                streams = [asyncio.create_task(client.post("/v1/chat/completions", json=body)) for _ in range(2)]
                await settled(client, in_flight=1, waiting=1)
                rewritten(tmp_path, backends={"desk": backend, "lab": {**backend, "weight": 2}})
                await asyncio.to_thread(until, running.url, applied=1, status="ok")
                await settled(client, in_flight=1, waiting=1)
                answers = [(await stream).text for stream in streams]
    assert all(answer.count("word") == 40 and answer.endswith("data: [DONE]\n\n") for answer in answers)


async def settled(client: httpx.AsyncClient, *, in_flight: int, waiting: int) -> None:
    """Waits until so many run and wait."""
    async with asyncio.timeout(15):
        while True:
            queue = (await client.get("/v1/router/queue")).json()
            if (queue["in_flight"], queue["waiting"]) == (in_flight, waiting):
                return
            await asyncio.sleep(0.01)


def test_sighup_without_a_file_changes_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "router", "serve", "--port", str(port)],
            stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=tmp_path,
            env=environment(HOME=str(tmp_path)),
        )  # fmt: skip
    try:
        until_status(f"http://127.0.0.1:{port}/health/live", 200, process=process, log=log)
        process.send_signal(signal.SIGHUP)
        until_status(f"http://127.0.0.1:{port}/health/live", 200, process=process, log=log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait(15)
    assert "there is no settings file to read again" in log.read_text()

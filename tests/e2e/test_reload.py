"""A settings file that changes under a running process."""

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
            still = said(running.url, "new")
            rewritten(tmp_path, models={})
            until(running.url, status="ok", applied=2)
            running.process.send_signal(signal.SIGHUP)
            until(running.url, status="ok", applied=3)
            assert running.terminate() == 0
            log = running.log.read_text()
    assert (answer, still) == ("hi", "hi")
    assert "nobody" in refused["problems"][0]
    assert str(tmp_path) not in str(refused)
    assert "the changed settings are not used" in log


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

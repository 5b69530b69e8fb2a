"""Backends changed in a router as a user runs it, over its API and by its command."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.serving import ROOT, environment, served
from tests.fakes import FakeProcess

pytestmark = pytest.mark.anyio

KEY = "key-of-an-admin"
ADMIN = {"key": KEY, "scopes": ["admin", "chat", "embed"]}


@pytest.fixture
async def lab(anyio_backend) -> AsyncIterator[FakeProcess]:
    async with FakeProcess() as lab:
        yield lab


def turnout(url: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "router", *words],
        env=environment(TURNOUT_URL=url, TURNOUT_API_KEY=KEY),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_backend_added_by_the_command_serves_and_stays_where_it_was_put(lab, tmp_path):
    await asyncio.to_thread(add_and_remove, lab.url, tmp_path)


def add_and_remove(url: str, tmp_path: Path) -> None:
    config = {"server": {"data_dir": str(tmp_path / "data")}, "auth": {"api_keys": [ADMIN]}}
    ask = {"model": "lab/llama3.2", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"Authorization": f"Bearer {KEY}"}
    with served(tmp_path, config, wait_ready=False) as router:
        made = turnout(router.url, "backends", "add", "lab", "ollama", url, "--write-file")
        assert made.returncode == 0, made.stderr
        assert "the old file is turnout.json.bak" in made.stdout
        assert httpx.post(f"{router.url}/v1/chat/completions", json=ask, headers=headers).status_code == 200
        tested = turnout(router.url, "backends", "test", "lab")
        assert (tested.returncode, "lab is connected" in tested.stdout) == (0, True), tested.stderr
        written = json.loads((tmp_path / "turnout.json").read_text(encoding="utf-8"))
        assert written["backends"]["lab"]["url"] == url
        assert turnout(router.url, "backends", "remove", "lab").returncode == 1
        assert turnout(router.url, "backends", "remove", "lab", "--write-file").returncode == 0
        assert "lab" not in json.loads((tmp_path / "turnout.json").read_text(encoding="utf-8"))["backends"]
        assert httpx.post(f"{router.url}/v1/chat/completions", json=ask, headers=headers).status_code == 503
        assert KEY not in router.log.read_text(encoding="utf-8")

"""The embedded default: real llama.cpp processes answer, and none of them outlives the router."""

import asyncio
import base64
import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from router import embedded
from router.embedded import EmbeddedFailed, EmbeddedServer, EmbeddedUnavailable, Spec, child_process, embedded_servers
from tests.e2e.real_llama import RunningLlama, real_llama, start_real_llama

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real,
    pytest.mark.skipif(not embedded.available(), reason="needs the extra `demo`"),
]

EMBEDDING_WIDTH = 576
PARENT = """
import asyncio
from router.embedded import embedded_servers

async def main():
    async with embedded_servers() as servers:
        print(*[server.pid for server in servers], flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def servers(anyio_backend: str) -> AsyncGenerator[tuple[EmbeddedServer, ...]]:
    async with embedded_servers(ready_timeout_s=20) as running:
        yield running


@pytest.fixture
def plain_llama() -> Iterator[RunningLlama]:
    server = start_real_llama(context=256, parallel=1)
    yield server
    server.stop()


async def post(url: str, body: Mapping[str, object], *, status: int = 200) -> Any:
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=body) as answer:
        assert answer.status == status, await answer.text()
        return json.loads(await answer.read())


async def get(url: str) -> Any:
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
        return json.loads(await answer.read())


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def is_gone(pid: int) -> bool:
    """A zombie counts: who adopts orphans in a container may never reap them."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def holds_within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


async def test_chat_server_answers(servers: tuple[EmbeddedServer, ...]) -> None:
    chat = servers[0]
    body = {"model": chat.name, "max_tokens": 8, "messages": [{"role": "user", "content": "Say hello."}]}
    answer = await post(f"{chat.url}/v1/chat/completions", body)
    assert answer["model"] == "smollm2"
    assert answer["choices"][0]["message"]["content"]
    assert 0 < answer["usage"]["completion_tokens"] <= 8


async def test_embeddings_server_answers_in_base64(servers: tuple[EmbeddedServer, ...]) -> None:
    embeddings = servers[1]
    body = {"model": embeddings.name, "input": "a railway switch", "encoding_format": "base64"}
    answer = await post(f"{embeddings.url}/v1/embeddings", body)
    vector = struct.unpack(f"<{EMBEDDING_WIDTH}f", base64.b64decode(answer["data"][0]["embedding"]))
    assert sum(number * number for number in vector) == pytest.approx(1, abs=1e-3)


async def test_embedding_input_may_fill_the_whole_context(servers: tuple[EmbeddedServer, ...]) -> None:
    """The refusal of a longer one names the limit, and costs no computing; llama.cpp's own default is 512."""
    answer = await post(f"{servers[1].url}/v1/embeddings", {"input": "hello " * 2100}, status=500)
    assert "current batch size: 2048" in answer["error"]["message"]


async def test_each_server_has_one_name(servers: tuple[EmbeddedServer, ...]) -> None:
    listed = [await get(f"{server.url}/v1/models") for server in servers]
    assert [[model["id"] for model in page["data"]] for page in listed] == [["smollm2"], ["smollm2-embed"]]
    assert servers[0].model.startswith("SmolLM2-135M-Instruct")


async def test_each_chat_slot_has_the_whole_window(servers: tuple[EmbeddedServer, ...]) -> None:
    slots = await get(f"{servers[0].url}/slots")
    assert [slot["n_ctx"] for slot in slots] == [4096, 4096]


async def test_children_are_gone_after_the_context() -> None:
    async with embedded_servers(ready_timeout_s=20) as servers:
        pids = [server.pid for server in servers]
        assert not any(is_gone(pid) for pid in pids)
    assert not any(psutil.pid_exists(pid) for pid in pids), "gone and reaped"


async def test_cancelled_start_leaves_no_child() -> None:
    before = children()
    starting = asyncio.create_task(embedded_servers(ready_timeout_s=20).__aenter__())
    while len(started := children() - before) < 2:
        await asyncio.sleep(0.005)  # the kernel's process table has no event to wait for
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not any(psutil.pid_exists(pid) for pid in started)


async def test_child_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "GRACE_S", 0.2)
    async with real_llama(context=256, parallel=1) as server:
        os.kill(server.pid, signal.SIGSTOP)  # a stopped process acts on SIGKILL alone
    assert not psutil.pid_exists(server.pid)


def test_children_die_when_the_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
    assert holds_within(2, lambda: all(is_gone(pid) for pid in pids))


def test_child_exits_when_its_stdin_ends(plain_llama: RunningLlama) -> None:
    assert plain_llama.process.stdin is not None
    plain_llama.process.stdin.close()
    assert plain_llama.process.wait(2) == 0


def test_child_leaves_ctrl_c_to_its_parent_and_obeys_sigterm(plain_llama: RunningLlama) -> None:
    plain_llama.process.send_signal(signal.SIGINT)
    plain_llama.process.send_signal(signal.SIGTERM)
    assert plain_llama.process.wait(2) == -signal.SIGTERM


async def test_child_that_dies_at_the_start_says_why_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF, but not for long")
    with pytest.raises(EmbeddedFailed) as failure:
        async with child_process(Spec("broken", tmp_path / "broken.gguf", context=256)) as child:
            await embedded.ready(child, timeout_s=10)
    message = str(failure.value)
    assert message.startswith("The embedded llama.cpp server 'broken' exited with status 1.")
    assert "failed to load model" in message
    assert "Traceback" not in message


async def test_slow_start_is_given_up_after_the_timeout() -> None:
    with pytest.raises(EmbeddedFailed, match=r"was not ready after 0\.001 s"):
        async with embedded_servers(ready_timeout_s=0.001):
            pass


async def test_missing_extra_is_said_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_nothing)
    assert not embedded.available()
    with pytest.raises(EmbeddedUnavailable, match="extra `demo`"):
        async with embedded_servers():
            pass

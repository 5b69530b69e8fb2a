"""A pull outlives the router that was told of it, however that ends."""

import asyncio
import json
import urllib.request
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.e2e.serving import Served, served
from tests.fakes import FakeBackend, FakeModel, Registry
from tests.surfaces.asking import backends, eventually

pytestmark = pytest.mark.anyio

KEY = {"key": "a-key-for-tests", "scopes": ["admin", "chat"]}


@asynccontextmanager
async def serving(folder, config):
    """A router in its own process, while the backends live in this one."""
    with ExitStack() as stack:
        yield await asyncio.to_thread(stack.enter_context, served(folder, config))


async def ask(router: Served, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {KEY['key']}", "content-type": "application/json"}
    request = urllib.request.Request(router.url + path, data, headers, method=method)

    def answer() -> Any:
        with urllib.request.urlopen(request, timeout=20) as got:
            return json.load(got)

    return await asyncio.to_thread(answer)


async def test_a_pull_goes_on_after_the_router_was_killed(anyio_backend, tmp_path):
    async with FakeBackend([FakeModel("llama3.2:latest")], flavour="ollama") as desk:
        desk.registry = Registry({"qwen3": (500, 300)}, patient=True)
        config = {
            "backends": backends({"desk": desk}),
            "auth": {"api_keys": [KEY]},
            "server": {"data_dir": str(tmp_path / "data")},
        }
        async with serving(tmp_path, config) as router:
            asked = {"model": "qwen3", "stream": False}
            pull = await ask(router, "POST", "/api/backends/desk/models/pull", asked)
            desk.registry.let(4)
            await eventually(lambda: sum(desk.registry.held.values()) == 400)
            router.process.kill()
            await asyncio.to_thread(router.process.wait, 15)
        await desk.until(lambda: len(desk.disconnects) == 1, within_s=15)
        desk.registry.release()
        async with serving(tmp_path, config) as router:
            seen: list[Any] = []
            async with asyncio.timeout(20):
                while not seen or seen[0]["state"] == "running":
                    await asyncio.sleep(0.05)
                    seen = await ask(router, "GET", "/api/pulls")
            assert (seen[0]["id"], seen[0]["state"], seen[0]["completed"]) == (pull["id"], "done", 800)
        assert desk.registry.resumed == [0, 400]

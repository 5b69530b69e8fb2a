"""The direct way to the busiest routes gives the answers of the way through the framework, which browsers take."""

import re

import pytest

from tests.fakes import FakeBackend
from tests.running import running
from tests.surfaces.asking import CHAT, alias, asked, backends

pytestmark = pytest.mark.anyio

EMBED = "/v1/embeddings"
COMPLETE = "/v1/completions"
THROUGH = {"origin": "http://elsewhere.test"}
KEY = {"authorization": "Bearer a-key-for-tests"}
REQUESTS = {
    "whole": (CHAT, asked("chat")),
    "stream": (CHAT, asked("chat", stream=True)),
    "without v1": ("/chat/completions", asked("chat")),
    "completion": (COMPLETE, {"model": "chat", "prompt": "one"}),
    "streamed completion": ("/completions", {"model": "chat", "prompt": "one", "stream": True}),
    "no prompt": (COMPLETE, {"model": "nobody"}),
    "embeddings": (EMBED, {"model": "vectors", "input": "one"}),
    "unknown model": (CHAT, asked("nobody")),
    "unknown embeddings": (EMBED, {"model": "nobody", "input": "one"}),
    "no JSON": (CHAT, "{"),
    "no messages": (CHAT, {"model": "chat"}),
    "too large": (CHAT, asked("chat", user="x" * 3000)),
}


@pytest.fixture
async def r(anyio_backend):
    async with FakeBackend(flavour="openai") as fake:
        config = {
            "backends": backends({"desk": fake}),
            "models": {**alias("chat", "desk/fake-chat"), **alias("vectors", "desk/fake-embed")},
            "auth": {"api_keys": ["a-key-for-tests"]},
            "server": {"max_body_bytes": 2048},
        }
        async with running(config) as r:
            yield r


async def answer(r, path, body, headers):
    text = {"content": body} if isinstance(body, str) else {"json": body}
    response = await r.client.post(path, headers={**headers, "x-request-id": "the-same"}, **text)
    told = {name: value for name, value in response.headers.items() if name not in {"date", "server", "vary"}}
    return response.status_code, told, re.sub(rb'"id":"(?:chatcmpl|cmpl)-[^"]*"|"created":\d+', b"", response.content)


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("headers", [KEY, {}, {"authorization": "Bearer wrong"}], ids=["key", "no key", "wrong key"])
async def test_both_ways_lead_to_the_same_answer(r, name, headers):
    path, body = REQUESTS[name]
    direct = await answer(r, path, body, headers)
    assert direct == await answer(r, path, body, {**headers, **THROUGH})
    assert (direct[0] == 401) == (headers is not KEY)


@pytest.mark.parametrize(("path", "status"), [(f"{CHAT}/", 200), ("/v1/nothing", 404)])
async def test_paths_that_are_written_otherwise_go_through_the_framework(r, path, status):
    assert (await r.client.post(path, json=asked("chat"), headers=KEY)).status_code == status


async def test_other_methods_are_refused_as_before(r):
    assert (await r.client.get(CHAT, headers=KEY)).status_code == 405

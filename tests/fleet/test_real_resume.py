"""Two real llama.cpp servers, one of which is killed in the middle of a stream: the text goes on."""

import json

import pytest

from tests.e2e.real_llama import RunningLlama, start_real_llama
from tests.running import running
from tests.surfaces.asking import alias, asked, calling, eventually, idle, streamed

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.timeout(120)]

pytest.importorskip("xllamacpp")

FIELDS = {
    "messages": [{"role": "user", "content": "Tell me a story about a fox and a river."}],
    "temperature": 0,
    "max_tokens": 60,
}


@pytest.fixture
def pair():
    servers: list[RunningLlama] = []
    try:
        servers += [start_real_llama("smollm2"), start_real_llama("smollm2")]
        yield servers
    finally:
        for server in servers:
            server.stop()


async def test_the_text_goes_on_where_the_killed_server_stopped(pair):
    one, two = pair
    config = {
        "backends": {name: {"type": "llama_cpp", "url": server.url} for name, server in (("one", one), ("two", two))},
        "models": alias("story", "one/smollm2", "two/smollm2", resume=True),
    }
    async with running(config) as r:
        whole = await streamed(r.client, "two/smollm2", **FIELDS)
        body = asked("story", stream=True, stream_options={"include_usage": True}) | FIELDS
        async with calling(r, body=body) as caller:
            await caller.until(b"data: ", times=20)
            one.process.kill()
            await caller.until(b"[DONE]")
            told = caller.got.decode()
        await eventually(lambda: idle(r))
    before, mark, after = told.partition(": resumed on two/smollm2 after ")
    assert mark
    assert after.partition("\n")[0].endswith(" characters")
    begun, rest = text(before), text(after)
    assert whole.text.startswith(begun)
    assert len(begun) > 20
    assert len(rest) > 20
    assert not rest.startswith(whole.text[:20])
    assert (begun + rest)[: len(begun) + 20] == whole.text[: len(begun) + 20]
    assert told.count('"finish_reason":"length"') == 1
    usage = json.loads(told.rpartition("data: {")[2].partition("\n")[0].join(("{", "")))["usage"]
    assert usage["estimated"]
    assert abs(usage["completion_tokens"] - 60) < 12


def text(part: str) -> str:
    events = [line.removeprefix("data: ") for line in part.splitlines() if line.startswith("data: {")]
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)

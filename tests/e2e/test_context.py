"""The context contract with a real llama.cpp: it must not see what it could only refuse."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from router.canonical.adapter import Attempt
from router.dialects import openai_chat
from tests.e2e.real_llama import real_llama
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, asked, error_of

pytestmark = [pytest.mark.anyio, pytest.mark.real]

CONTEXT = 256
SENTENCE = "The harbour master wrote down every ship that came in before the storm. "


@asynccontextmanager
async def recorded(url: str) -> AsyncGenerator[tuple[str, list[str]]]:
    """A way to a server that takes note of every request line."""
    lines: list[str] = []
    open_writers: list[asyncio.StreamWriter] = []
    place = urlsplit(url)

    async def passing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, note: bool) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if note:
                    lines.extend(line.decode() for line in data.split(b"\r\n") if line.endswith(b" HTTP/1.1"))
                writer.write(data)
                await writer.drain()
        writer.close()

    async def both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_connection(place.hostname, place.port)
        open_writers.extend((writer, onward_writer))
        await asyncio.gather(passing(reader, onward_writer, note=True), passing(onward_reader, writer, note=False))

    server = await asyncio.start_server(both, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", lines
        for writer in open_writers:
            writer.transport.abort()


def long(sentences: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": SENTENCE * sentences}]


async def test_an_over_long_prompt_is_refused_before_the_server_sees_it(anyio_backend):
    async with (
        real_llama(context=CONTEXT) as llama,
        recorded(llama.url) as (url, lines),
        running({"backends": {"cpp": {"type": "llama_cpp", "url": url}}}) as r,
    ):
        refused = await r.client.post(CHAT, json=asked("smollm2", messages=long(100), max_tokens=1))
        answered = await r.client.post(CHAT, json=asked("smollm2", messages=long(2), max_tokens=1))
    error = error_of(refused)
    assert (refused.status_code, error["code"]) == (400, "context_length_exceeded")
    assert error["message"].startswith(f"This model's maximum context length is {CONTEXT} tokens.")
    assert answered.status_code == 200
    assert [line for line in lines if line.startswith("POST")] == ["POST /v1/chat/completions HTTP/1.1"]


async def test_near_the_limit_its_own_count_decides_to_the_token(anyio_backend):
    async with (
        real_llama(context=CONTEXT) as llama,
        running({"backends": {"cpp": {"type": "llama_cpp", "url": llama.url}}}) as r,
    ):
        exact = await counted(r, long(13))
        padded = [*long(13)]
        padded[0]["content"] += "ship " * (CONTEXT - exact - 3)
        exact = await counted(r, padded)
        room = CONTEXT - exact
        assert 0 < room < 10
        fits = await r.client.post(CHAT, json=asked("smollm2", messages=padded, max_tokens=room))
        over = await r.client.post(CHAT, json=asked("smollm2", messages=padded, max_tokens=room + 1))
    assert (fits.status_code, fits.json()["usage"]["prompt_tokens"]) == (200, exact)
    assert f"you requested {CONTEXT + 1} tokens ({exact} in the messages" in error_of(over)["message"]


async def counted(r: RunningRouter, messages: list[dict[str, str]]) -> int:
    request = openai_chat.parse_request(json.dumps({"model": "smollm2", "messages": messages}).encode())
    adapter = r.router.fleet.adapters["cpp"]
    exact = await adapter.prompt_tokens(request, Attempt(model="smollm2", shown="smollm2"), timeout_s=10)
    assert exact is not None
    return exact


async def test_reasoning_may_be_bounded_without_bounding_the_answer(anyio_backend):
    async with real_llama(context=CONTEXT) as llama:
        models = {"thinker": {"targets": ["cpp/smollm2"], "max_tokens": 4, "thinking_tokens": 8}}
        async with running({"backends": {"cpp": {"type": "llama_cpp", "url": llama.url}}, "models": models}) as r:
            answer = await r.client.post(CHAT, json=asked("thinker"))
    assert answer.status_code == 200
    assert answer.json()["usage"]["completion_tokens"] <= 12

"""The soak in its short form, and what it takes for wrong."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import aiohttp
import pytest
from aiohttp import web

from bench.soak import asking
from bench.soak.asking import Caller, Wrong

ROOT = Path(__file__).parents[2]
SOAK_S = 110


@pytest.mark.timeout(120)
def test_nothing_is_left_over_after_random_faults_and_callers_who_leave() -> None:
    command = [sys.executable, "-m", "bench.soak", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SOAK_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@asynccontextmanager
async def _caller(status: int, body: bytes) -> AsyncGenerator[Caller]:
    """A caller of a server that answers everything the same way."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as session:
            yield Caller(session, f"http://127.0.0.1:{port}", ("ollama", "openai"), Random(0))
    finally:
        await runner.cleanup()


def _chunk(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


def _error(code: str) -> bytes:
    return json.dumps({"error": {"message": "no", "code": code}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, _error("internal_error"), "internal_error"),
        (401, _error("invalid_api_key"), "status 401"),
        (502, b"<html>", "not OpenAI's JSON"),
        (200, _chunk(asking.REPLY), "without its end marker"),
        (200, _chunk("a train") + b"data: [DONE]\n\n", "without being whole"),
        (200, b"data: " + _error("stream_broken") + b"\n\ndata: [DONE]\n\n", "went on after an error"),
    ],
)
@pytest.mark.anyio
async def test_an_answer_that_must_not_be_is_told(status: int, body: bytes, why: str) -> None:
    async with _caller(status, body) as caller:
        with pytest.raises(Wrong, match=why):
            await asking.asked(caller, asking.stream)


@pytest.mark.anyio
async def test_a_request_without_an_end_is_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "DEADLINE_S", 0.02)

    async def never(_: Caller) -> str:
        await asyncio.Event().wait()
        return ""

    async with _caller(200, b"") as caller:
        with pytest.raises(Wrong, match="hang"):
            await asking.asked(caller, never)

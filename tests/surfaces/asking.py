"""Asking a running router, and reading what it sends byte by byte."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.fakes import FakeBackend
from tests.running import RunningRouter

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello there"}]
SOON_S = 15.0


def asked(model: str, **fields: Any) -> dict[str, Any]:
    """The body of a chat request."""
    return {"model": model, "messages": HELLO, **fields}


def backends(fakes: Mapping[str, FakeBackend], **more: Any) -> dict[str, Any]:
    """The settings' backends for some fakes; `more` goes to each of them."""
    return {name: {"type": fake.flavour, "url": fake.url, **more} for name, fake in fakes.items()}


def at(url: str, **more: Any) -> dict[str, Any]:
    """Settings with one OpenAI-compatible backend `desk` there."""
    return {"backends": {"desk": {"type": "openai", "url": url, **more}}}


def alias(name: str, *targets: str, **more: Any) -> dict[str, Any]:
    return {name: {"targets": list(targets), **more}}


@dataclass(frozen=True)
class Streamed:
    """A stream as it was received; `events` are the payloads but `[DONE]`, in order."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def payloads(self) -> list[str]:
        events = self.raw.decode().split("\n\n")
        return [event.removeprefix("data: ") for event in events if event.startswith("data: ")]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.payloads if payload != "[DONE]"]

    @property
    def pings(self) -> int:
        return self.raw.count(b": ping\n\n")

    @property
    def done(self) -> bool:
        return self.payloads[-1:] == ["[DONE]"]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [event for event in self.events if "error" not in event]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [event["error"] for event in self.events if "error" in event]

    @property
    def text(self) -> str:
        return "".join(choice["delta"].get("content") or "" for chunk in self.chunks for choice in chunk["choices"])

    @property
    def finish_reasons(self) -> list[str]:
        return [
            choice["finish_reason"] for chunk in self.chunks for choice in chunk["choices"] if choice["finish_reason"]
        ]

    @property
    def usages(self) -> list[dict[str, Any]]:
        return [chunk["usage"] for chunk in self.chunks if chunk.get("usage")]


async def streamed(client: httpx.AsyncClient, model: str, *, headers: Mapping[str, str] | None = None, **fields: Any):
    """Asks for a stream and reads it to its end."""
    response = await client.post(CHAT, json=asked(model, stream=True, **fields), headers=headers)
    return Streamed(response.status_code, response.headers, response.content)


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The error of an answer that must have OpenAI's shape."""
    body = response.json()
    assert set(body) == {"error"}, body
    assert set(body["error"]) == {"message", "type", "param", "code"}, body
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    return body["error"]


class Caller:
    """A client on a bare socket: sends any bytes, leaves at any moment."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.got = bytearray()

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def until(self, wanted: bytes, *, times: int = 1) -> bytearray:
        """Reads until this was received so often; what was read so far."""
        found = self.got.count(wanted)
        async with asyncio.timeout(SOON_S):
            while found < times:
                data = await self._reader.read(65536)
                assert data, f"the connection ended before {wanted!r}: {self.got!r}"
                seam = bytes(self.got[len(self.got) - len(wanted) + 1 :])
                self.got += data
                found += (seam + data).count(wanted)
        return self.got

    async def rest(self) -> bytearray:
        """Everything until the router closes the connection."""
        async with asyncio.timeout(SOON_S):
            self.got += await self._reader.read(-1)
        return self.got

    def leave(self) -> None:
        """Cuts the connection, as a client does whose process ends."""
        self._writer.transport.abort()


@asynccontextmanager
async def calling(r: RunningRouter, path: str = CHAT, body: Any = None, *, version: str = "1.1", head: str = ""):
    """A bare connection on which a POST of `body` has been sent; without a body, nothing."""
    place = urlsplit(r.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    caller = Caller(reader, writer)
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = f"POST {path} HTTP/{version}\r\nHost: router\r\nContent-Length: {len(data)}\r\n{head}\r\n"
        await caller.send(lines.encode() + data)
    try:
        yield caller
    finally:
        caller.leave()


async def eventually(condition: Callable[[], bool]) -> None:
    """Polls until something holds."""
    async with asyncio.timeout(SOON_S):
        while not condition():
            await asyncio.sleep(0.002)


def idle(r: RunningRouter) -> bool:
    """Whether nothing is under way: no request counted anywhere."""
    return r.router.drain.in_flight == 0 and all(health.in_flight == 0 for health in r.router.fleet.health)


async def take_down(r: RunningRouter, *names: str) -> None:
    """Marks backends down as failed requests would."""
    now = asyncio.get_running_loop().time()
    for name in names:
        r.router.fleet.health.failed(name, "made to fail", now=now)
        r.router.fleet.health.failed(name, "made to fail", now=now)


@asynccontextmanager
async def saying(*pieces: bytes) -> AsyncGenerator[str]:
    """A server that reads a little, says these pieces and hangs up; gives its address."""
    saying_now: set[asyncio.Task[None]] = set()

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        saying_now.add(asyncio.current_task())
        try:
            await reader.read(65536)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.wait(saying_now)

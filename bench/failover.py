"""The work W9: what a second try adds when the first target fails. Runs on a router of its own."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path as File

import msgspec

from bench import client, configs, servers, wire
from bench.client import TellingLink, connect
from bench.configs import FIRST_TOKEN_S, IDLE_S, SOUND
from bench.measure import median
from bench.paths import OPENAI
from bench.results import Figure, Row
from bench.servers import Server
from bench.wire import Ask

FRAMES = 10
LOOKED_S = 10.0
ATTEMPTS = b"x-turnout-attempts"


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to fail; `waited_s` is the router's own time limit, which is no part of what the second try adds."""

    name: str
    fault: str
    waited_s: float = 0.0
    streams: bool = False
    recovers: bool = True


KINDS = (
    Kind("refuses", configs.REFUSES),
    Kind("answers 500", "500"),
    Kind("hangs before headers", "hang", waited_s=FIRST_TOKEN_S),
    Kind("stalls before content", "mute", waited_s=IDLE_S, streams=True),
    Kind("stalls after content", "stall", waited_s=IDLE_S, streams=True, recovers=False),
)


@dataclass(slots=True)
class Seen:
    """Milliseconds of requests that failed over, of the same to the sound backend, and CPU of the former."""

    failing: list[float]
    sound: list[float]
    cpu_ms: list[float]
    errors: Counter[str]


class _Backend(msgspec.Struct):
    name: str
    state: str


class _Health(msgspec.Struct):
    backends: list[_Backend]


@asynccontextmanager
async def ready(command: str, directory: File, *, backend: int, tries: int) -> AsyncIterator[Server]:
    """A router whose aliases `FAULT-NUMBER` lead to a backend of their own that fails, then to one that does not.

    Each is good for one request: afterwards the router knows that backend to be down. The one that refuses is there for
    the router's first look, and gone before the first request.
    """
    gone, port = servers.free_port(), servers.free_port()
    config = configs.failover(directory, port=port, backend=backend, gone=gone, tries=tries)
    filled = servers.filled(command, config=config, port=port, backend=backend)
    async with AsyncExitStack() as stack:
        async with servers.fake_backend(gone, directory):
            running = servers.running(filled, port, ready="/health/ready", directory=directory)
            router = await stack.enter_async_context(running)
            await _looked_at_all(port)
        yield router


async def _looked_at_all(port: int) -> None:
    deadline = time.perf_counter() + LOOKED_S
    while time.perf_counter() < deadline:
        _, body = await client.get(port, "/health")
        if all(one.state == "up" for one in msgspec.json.decode(body, type=_Health).backends):
            return
        await asyncio.sleep(0.02)
    raise servers.ServerError("the failover router does not find its backends up")


async def failover(router: Server, kind: Kind, *, tries: int, peer: Server | None = None) -> Row:
    """W9, one request after another, each followed by the same one to the sound backend."""
    seen = await _seen(router, kind, tries)
    beside = await _seen(peer, kind, tries) if peer else Seen([], [], [], Counter())
    name = "added" if kind.recovers else "told after"
    over = f", less {kind.waited_s * 1000:.0f} ms" if kind.waited_s else ""
    figures = [(f"{name} p50{over}", median), (f"{name} max{over}", lambda values: max(values, default=float("nan")))]
    return Row(
        work=f"W9 first {kind.name}",
        path=OPENAI.name,
        cpu_ms=median(seen.cpu_ms),
        peer_ms=median(beside.cpu_ms),
        figures=[Figure(label, router=of(_added(seen, kind)), peer=of(_added(beside, kind))) for label, of in figures],
        errors=seen.errors,
        peer_errors=beside.errors,
    )


def _added(seen: Seen, kind: Kind) -> Sequence[float]:
    base = median(seen.sound) if kind.recovers else 0.0
    return [wall - kind.waited_s * 1000 - base for wall in seen.failing]


async def _seen(server: Server, kind: Kind, tries: int) -> Seen:
    seen = Seen([], [], [], Counter())
    for number in range(tries):
        for model in (f"{kind.fault}-{number}", SOUND):
            before = server.tree.cpu_s()
            link = await connect(server.port, TellingLink)
            ask = _ask(server.port, kind, model)
            try:
                run = await client.once(ask, link=link)
            except (OSError, TimeoutError) as error:
                seen.errors[type(error).__name__] += 1
                continue
            wall = (link.ended - link.started) * 1000
            if model == SOUND:
                seen.sound.append(wall)
                seen.errors += run.errors
            elif wrong := _fault(kind, link, run.errors):
                seen.errors[wrong] += 1
            else:
                seen.failing.append(wall)
                seen.cpu_ms.append((server.tree.cpu_s() - before) * 1000)
    return seen


def _ask(port: int, kind: Kind, model: str) -> Ask:
    if kind.streams:
        return wire.stream_of(port, model, frames=FRAMES)
    return wire.chat(port, OPENAI, native=False, model=model)


def _fault(kind: Kind, link: TellingLink, errors: Counter[str]) -> str | None:
    """What is wrong with the answer of a request whose first target failed."""
    body = b"".join(link.parts)
    if not kind.recovers:
        return None if b'"error"' in body and OPENAI.ending not in body else "not told"
    if errors:
        return next(iter(errors))
    return None if link.headers.get(ATTEMPTS) == b"2" else "not the second try"

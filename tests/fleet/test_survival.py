"""A fleet in processes of its own, under load: one backend dies, another flaps, and what could be served is served."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.e2e.serving import Served, served
from tests.fakes import FakeProcess
from tests.surfaces.asking import CHAT, Streamed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

CLIENTS = 200
ROUNDS = 3
REPLY = "It goes on and on until it ends."
LOAD_S = 0.02
MAX_GROWTH = 48 * 1024 * 1024
FLAPS = (
    {"status": 500},
    {"drop_after": 0},
    {"drop_after": 3, "flaky": 0.5},
    {"status": 503, "headers": {"Retry-After": "1"}},
)


@dataclass(frozen=True)
class Stage:
    router: Served
    backends: dict[str, FakeProcess]
    answered: dict[str, Path]

    def times_served(self) -> Counter[str]:
        lines = (path.read_text(encoding="utf-8").splitlines() for path in self.answered.values() if path.exists())
        return Counter(line for each in lines for line in each)


@asynccontextmanager
async def stage(folder: Path) -> AsyncGenerator[Stage]:
    """`a` has red in memory, `b` blue, `c` both; red is first asked of `a`, blue of `b`."""
    cold = {"a": ["blue"], "b": ["red"], "c": []}
    answered = {name: folder / f"{name}.answered" for name in cold}

    def fake(name: str) -> FakeProcess:
        options = ["--answered", str(answered[name]), "--load-seconds", str(LOAD_S)]
        options += [word for model in cold[name] for word in ("--cold", model)]
        return FakeProcess(models=("red", "blue"), reply=REPLY, options=options)

    async with fake("a") as a, fake("b") as b, fake("c") as c:
        backends = {"a": a, "b": b, "c": c}
        config = {
            "backends": {
                name: {"type": "ollama", "url": each.url, "max_parallel": CLIENTS} for name, each in backends.items()
            },
            "models": {
                "red": {"targets": ["a/red", "b/red", "c/red"]},
                "blue": {"targets": ["b/blue", "a/blue", "c/blue"]},
            },
            "server": {"log_requests": False},
            "health": {"interval_s": 0.5},
        }
        with served(folder, config) as router:
            yield Stage(router, backends, answered)


async def ask(session: aiohttp.ClientSession, model: str, text: str) -> Streamed:
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": text}]}
    async with session.post(CHAT, json=body) as response:
        return Streamed(response.status, dict(response.headers), await response.read())


async def clients(stage: Stage, name: str, *, rounds: int = ROUNDS) -> dict[str, Streamed]:
    """Everybody asks again and again; the answers by what was asked."""
    answers: dict[str, Streamed] = {}

    async def client(number: int) -> None:
        for each in range(rounds):
            text = f"{name}-{number}-{each}"
            answers[text] = await ask(session, ("red", "blue")[number % 2], text)

    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(stage.router.url, connector=connector) as session, asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(client(number))
    return answers


async def fault(fake: FakeProcess, faults: dict[str, object] | None) -> None:
    async with aiohttp.ClientSession(fake.url) as session:
        response = await (session.put("/__fake/faults", json=faults) if faults else session.delete("/__fake/faults"))
        assert response.status == 200


async def flapping(fake: FakeProcess) -> None:
    while True:
        for faults in FLAPS:
            await fault(fake, faults)
            await asyncio.sleep(0.05)
            await fault(fake, None)
            await asyncio.sleep(0.05)


async def counted(stage: Stage, *names: str) -> dict[str, float]:
    """The router's own numbers of these names, by what they are about."""
    async with aiohttp.ClientSession(stage.router.url) as session, session.get("/metrics") as response:
        lines = [line.rpartition(" ") for line in (await response.text()).splitlines()]
    return {about: float(number) for about, _, number in lines if about.partition("{")[0] in names}


def lost(answers: Iterable[Streamed]) -> list[Streamed]:
    """Those who were neither served nor had begun to be when something broke."""
    return [
        answer for answer in answers
        if not (answer.status == 200 and ((answer.done and answer.text == REPLY) or (answer.text and answer.errors)))
    ]  # fmt: skip


async def test_one_dies_and_one_flaps_and_what_can_be_served_is_served_once(tmp_path):
    async with stage(tmp_path) as s:
        process = psutil.Process(s.router.process.pid)
        quiet = await clients(s, "quiet")
        assert all(answer.done for answer in quiet.values())
        before = process.memory_info().rss

        for name in ("a", "c"):
            await fault(s.backends[name], {"chunk_delay_s": 0.02})
        asking = asyncio.create_task(clients(s, "rough"))
        flaps = asyncio.create_task(flapping(s.backends["b"]))
        await asyncio.sleep(0.3)
        assert not asking.done()
        await s.backends["a"].kill()
        rough = await asking
        flaps.cancel()
        await asyncio.wait((flaps,))

        await fault(s.backends["b"], None)
        after = await clients(s, "after", rounds=1)
        grown = process.memory_info().rss - before
        assert lost(rough.values()) == []
        assert all(answer.done for answer in after.values())
        assert max(s.times_served().values()) == 1
        served_whole = {text for text, answer in {**quiet, **rough, **after}.items() if answer.done}
        assert served_whole <= set(s.times_served())
        assert len(served_whole) > 0.9 * CLIENTS * (2 * ROUNDS + 1)
        failed = await counted(s, "turnout_failed_attempts_total")
        assert {about.split('"')[1] for about in failed} == {"a", "b"}
        now = await counted(s, "turnout_requests_in_flight", "turnout_backend_in_flight", "turnout_requests_waiting")
        assert len(now) == 13
        assert set(now.values()) == {0.0}
        assert grown < MAX_GROWTH

"""A client who leaves is forgotten at once, wherever its request was."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.fakes import FakeBackend, Faults
from tests.running import RunningRouter, running
from tests.surfaces.asking import asked, backends, calling, eventually, idle, streamed

pytestmark = pytest.mark.anyio

WITHIN_S = 0.1
MODELS = {"ollama": "llama3.2", "openai": "fake-chat", "llama_cpp": "smollm2", "claude": "claude-sonnet-5"}
EMBEDDERS = {"ollama": "nomic-embed-text", "openai": "fake-embed", "llama_cpp": "smollm2"}


@pytest.fixture(params=MODELS)
async def fake(request, anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour=request.param) as fake:
        yield fake


@pytest.fixture
async def r(fake) -> AsyncIterator[RunningRouter]:
    async with running({"backends": backends({"desk": fake})}) as r:
        yield r


async def left(fake: FakeBackend, caller) -> float:
    """Leaves; how long it takes until the backend sees it, in seconds."""
    before = asyncio.get_running_loop().time()
    caller.leave()
    await fake.until(lambda: len(fake.disconnects) == 1)
    return fake.disconnects[0] - before


WHERE = {
    "waiting for headers": Faults(hang_before_headers=True),
    "waiting for the first token": Faults(stall_after=0),
    "waiting after the role": Faults(stall_after=1),
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_leaving_before_content_closes_the_backends_connection(r, fake, where, stream):
    fake.faults = WHERE[where]
    async with calling(r, body=asked(f"desk/{MODELS[fake.flavour]}", stream=stream)) as caller:
        await fake.until(lambda: fake.in_flight == 1)
        assert await left(fake, caller) < WITHIN_S
        await eventually(lambda: idle(r))


async def test_leaving_in_mid_stream_closes_the_backends_connection(r, fake):
    fake.faults = Faults(stall_after=3)
    async with calling(r, body=asked(f"desk/{MODELS[fake.flavour]}", stream=True)) as caller:
        await caller.until(b"Hello")
        assert await left(fake, caller) < WITHIN_S
        await eventually(lambda: idle(r))


async def test_leaving_while_chunks_flow_closes_the_backends_connection(r, fake):
    fake.reply = "word " * 1000
    fake.faults = Faults(chunk_delay_s=0.002)
    async with calling(r, body=asked(f"desk/{MODELS[fake.flavour]}", stream=True)) as caller:
        await caller.until(b"word")
        assert await left(fake, caller) < WITHIN_S
        await eventually(lambda: idle(r))


async def test_leaving_without_reading_what_is_sent_closes_the_backends_connection(r, fake):
    """The answer is larger than every buffer on the way, so the router is stuck in sending."""
    fake.reply = ("w" * 1000 + " ") * 20_000
    async with calling(r, body=asked(f"desk/{MODELS[fake.flavour]}", stream=True)) as caller:
        await fake.until(lambda: fake.in_flight == 1)
        await caller.until(b"wwww")
        assert await left(fake, caller) < WITHIN_S
        await eventually(lambda: idle(r))


async def test_leaving_an_embedding_closes_the_backends_connection(r, fake):
    if fake.flavour not in EMBEDDERS:
        pytest.skip("makes no embeddings")
    fake.faults = Faults(hang_before_headers=True)
    body = {"model": f"desk/{EMBEDDERS[fake.flavour]}", "input": "text"}
    async with calling(r, "/v1/embeddings", body) as caller:
        await fake.until(lambda: fake.in_flight == 1)
        assert await left(fake, caller) < WITHIN_S
        await eventually(lambda: idle(r))


@pytest.fixture
async def one(anyio_backend) -> AsyncIterator[tuple[RunningRouter, FakeBackend]]:
    """One backend that takes one request at a time."""
    async with (
        FakeBackend(flavour="openai") as fake,
        running({"backends": backends({"desk": fake}, max_parallel=1)}) as r,
    ):
        yield r, fake


async def test_leaving_the_queue_leaves_the_turn_to_the_next(one):
    r, fake = one
    fake.faults = Faults(stall_after=0, times=1)
    body = asked("desk/fake-chat", stream=True)
    async with calling(r, body=body) as first, calling(r, body=body) as second, calling(r, body=body) as third:
        await fake.until(lambda: fake.in_flight == 1)
        await eventually(lambda: r.router.drain.in_flight == 3)
        second.leave()
        await eventually(lambda: r.router.drain.in_flight == 2)
        first.leave()
        assert b"[DONE]" in await third.until(b"[DONE]")
    assert len(fake.requests) == 2


async def test_the_slot_of_a_client_who_left_is_free(one):
    r, fake = one
    fake.faults = Faults(stall_after=2, times=1)
    async with calling(r, body=asked("desk/fake-chat", stream=True)) as caller:
        await caller.until(b"Hello")
        caller.leave()
        assert (await streamed(r.client, "desk/fake-chat")).text == fake.reply


async def test_leaving_while_the_body_is_still_sent_leaves_nothing_behind(one):
    r, fake = one
    async with calling(r) as caller:
        await caller.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: r\r\nContent-Length: 100\r\n\r\n{")
        caller.leave()
    assert (await streamed(r.client, "desk/fake-chat")).done
    assert len(fake.requests) == 1


async def test_leaving_between_two_attempts_ends_them(one):
    r, fake = one
    await fake.stop()
    async with calling(r, body=asked("desk/fake-chat")) as caller:
        await eventually(lambda: r.router.drain.in_flight == 1)
        caller.leave()
        await eventually(lambda: idle(r))


async def test_two_hundred_who_leave_are_as_if_they_had_never_come(r, fake):
    fake.faults = Faults(stall_after=2)
    body = asked(f"desk/{MODELS[fake.flavour]}", stream=True)

    async def come_and_leave(number: int) -> None:
        async with calling(r, body=body) as caller:
            if number % 2:
                await caller.until(b"data: ")
            caller.leave()

    for _ in range(10):
        await asyncio.gather(*(come_and_leave(number) for number in range(20)))
    await eventually(lambda: idle(r))
    await fake.until(lambda: fake.in_flight == 0)
    fake.faults = Faults()
    answers = await asyncio.gather(*(streamed(r.client, f"desk/{MODELS[fake.flavour]}") for _ in range(10)))
    assert {(answer.text, answer.done) for answer in answers} == {(fake.reply, True)}

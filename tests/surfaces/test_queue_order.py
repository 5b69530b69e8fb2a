"""Who goes first, over HTTP: classes, users, models, slots, and backends that share them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.fakes import FakeBackend, FakeModel, Faults
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, calling, eventually, idle, streamed
from tests.surfaces.queueing import ANN, BOB, BODY, HOLD, KEYS, NIGHT, QUICK, bearer, key, queue_of, waiting

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fake(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai") as fake:
        yield fake


@pytest.fixture
async def r(fake) -> AsyncIterator[RunningRouter]:
    config = {
        **QUICK,
        "auth": KEYS,
        "backends": backends({"desk": fake}, max_parallel=1),
        "models": {**alias("slow", "desk/fake-chat", priority="batch")},
        "queue": {"max_depth": 6, "max_per_user": 2},
    }
    async with running(config, headers=bearer(ANN)) as r:
        yield r


async def test_two_hundred_clients_of_three_classes_are_all_served_within_the_limits(fake):
    """Interactive ones go first, though they came last; no slot is used twice, none is lost."""
    fake.faults = Faults(first_byte_delay_s=0.005)
    config = {"backends": backends({"desk": fake}, max_parallel=4), "queue": {"max_depth": 200, "max_per_user": 200}}
    done: list[str] = []

    async def ask(r: RunningRouter, kind: str) -> None:
        headers = {"X-Turnout-Priority": kind}
        response = await r.client.post(CHAT, json=asked("desk/fake-chat"), headers=headers)
        assert response.status_code == 200
        done.append(kind)

    async with running(config) as r:
        r.client._transport._pool._max_connections = 300
        async with asyncio.TaskGroup() as tasks:
            for kind, count in (("batch", 100), ("normal", 60), ("interactive", 40)):
                for _ in range(count):
                    tasks.create_task(ask(r, kind))
        await eventually(lambda: idle(r))
        report = await queue_of(r)
    assert Counter(done) == {"batch": 100, "normal": 60, "interactive": 40}
    assert fake.peak_in_flight == 4
    assert (report["waiting"], report["in_flight"]) == (0, 0)
    assert _mean_place(done, "interactive") < _mean_place(done, "normal") < _mean_place(done, "batch")


def _mean_place(done: list[str], kind: str) -> float:
    places = [place for place, each in enumerate(done) if each == kind]
    return sum(places) / len(places)


async def test_a_batch_does_not_delay_a_person(r, fake):
    fake.faults = HOLD
    done: list[str] = []

    async def ask(of: str, kind: str) -> None:
        headers = {**bearer(of), "X-Turnout-Priority": kind}
        assert (await r.client.post(CHAT, json=asked("desk/fake-chat"), headers=headers)).status_code == 200
        done.append(kind)

    async with calling(r, body=BODY, head=key(NIGHT)) as first:
        await first.until(b"data:")
        async with asyncio.TaskGroup() as tasks:
            for of in (ANN, ANN, BOB, BOB):
                tasks.create_task(ask(of, "batch"))
            await waiting(r, 4)
            tasks.create_task(ask("key-of-carl-1", "interactive"))
            await waiting(r, 5)
            first.leave()
    assert done == ["interactive"] + ["batch"] * 4


async def test_two_users_have_the_same_share_however_many_requests_each_has(fake):
    fake.faults = HOLD
    config = {"auth": KEYS, "backends": backends({"desk": fake}, max_parallel=1)}
    done: list[str] = []

    async def ask(r: RunningRouter, of: str) -> None:
        response = await r.client.post(CHAT, json=asked("desk/fake-chat"), headers=bearer(of))
        assert response.status_code == 200
        done.append(of)

    async with running(config, headers=bearer(NIGHT)) as r, calling(r, body=BODY, head=key(NIGHT)) as first:
        await first.until(b"data:")
        async with asyncio.TaskGroup() as tasks:
            for of in [ANN] * 16 + [BOB] * 4:
                tasks.create_task(ask(r, of))
            await waiting(r, 20)
            first.leave()
    assert done[:10].count(BOB) == 4


async def test_requests_for_two_models_in_turn_do_not_load_them_in_turn(anyio_backend):
    models = [FakeModel("a", loaded=True), FakeModel("b", loaded=False)]
    async with FakeBackend(models) as fake:
        fake.load_s = 0.03
        fake.faults = Faults(first_byte_delay_s=0.005)
        async with running({**QUICK, "backends": backends({"desk": fake})}) as r, asyncio.TaskGroup() as tasks:
            asking = [tasks.create_task(streamed(r.client, f"desk/{name}")) for name in "abababab"]
        answers = [task.result() for task in asking]
    assert [answer.text for answer in answers] == [fake.reply] * 8
    assert fake.loads == ["b"]
    assert fake.peak_in_flight == 1


async def test_a_stream_whose_model_is_loaded_first_is_told_so(anyio_backend):
    async with FakeBackend([FakeModel("a"), FakeModel("b", loaded=False)]) as fake:
        fake.load_s = 0.15
        async with running({**QUICK, "backends": backends({"desk": fake})}) as r:
            cold, warm = await streamed(r.client, "desk/b"), await streamed(r.client, "desk/b")
            report = await queue_of(r)
    assert b": loading model\n\n" in cold.raw
    assert cold.raw.index(b": loading model") < cold.raw.index(b"data:")
    assert b": loading" not in warm.raw
    assert report["lanes"][0]["backends"][0]["loaded"] == ["b"]


async def test_slots_that_a_server_tells_are_its_limit(anyio_backend):
    body = asked("box/smollm2")
    async with FakeBackend(flavour="llama_cpp") as fake, AsyncExitStack() as stack:
        fake.slots = 3
        fake.faults = Faults(hang_before_headers=True)
        r = await stack.enter_async_context(running({"backends": backends({"box": fake})}))
        callers = [await stack.enter_async_context(calling(r, body=body)) for _ in range(9)]
        report = await waiting(r, 6)
        assert report["lanes"][0]["backends"][0]["max_parallel"] == 3
        await fake.until(lambda: fake.in_flight == 3)
        fake.slots = 5
        await r.looked()
        await waiting(r, 4)
        await fake.until(lambda: fake.in_flight == 5)
        for caller in callers:
            caller.leave()
        await eventually(lambda: idle(r))
    assert fake.peak_in_flight == 5


async def test_backends_that_share_a_gpu_share_a_line(fake):
    async with FakeBackend(flavour="openai") as other:
        config = {
            "backends": backends({"desk": fake, "other": other}),
            "groups": {"gpu0": {"members": ["desk", "other"], "max_parallel": 1}},
        }
        fake.faults = HOLD
        async with running(config) as r, calling(r, body=BODY) as first:
            await first.until(b"Hello")
            asking = asyncio.create_task(streamed(r.client, "other/fake-chat"))
            report = await waiting(r, 1)
            assert other.requests == []
            first.leave()
            assert (await asking).text == other.reply
    assert [(lane["name"], lane["max_parallel"]) for lane in report["lanes"]] == [("gpu0", 1)]


async def test_a_pool_is_waited_for_as_a_whole(fake):
    """Both have the model loaded and are busy: whoever is free first answers."""
    async with FakeBackend(flavour="llama_cpp") as one, FakeBackend(flavour="llama_cpp") as two:
        one.slots = two.slots = 1
        one.faults = two.faults = HOLD
        body = asked("smollm2", stream=True)
        async with running({**QUICK, "backends": backends({"one": one, "two": two})}) as r, calling(r, body=body) as a:
            await a.until(b"Hello")
            async with calling(r, body=body) as b:
                await b.until(b"Hello")
                asking = asyncio.create_task(streamed(r.client, "smollm2"))
                report = await waiting(r, 1)
                free = b if one.requests else a
                free.leave()
                answer = await asking
    assert [len(lane["entries"]) for lane in report["lanes"]] == [1, 1]
    assert set(report["lanes"][0]["entries"][0]["backends"]) == {"one", "two"}
    assert answer.text == one.reply
    assert len(one.requests) + len(two.requests) == 3

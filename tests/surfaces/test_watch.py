"""Watching a client: who cancels whom, and what becomes of it."""

import asyncio

import pytest

from router.errors import Draining
from router.surfaces.watch import ClientLeft, Watch

pytestmark = pytest.mark.anyio


class Client:
    """A client as ASGI shows it: nothing until it leaves."""

    def __init__(self) -> None:
        self._left = asyncio.Event()

    def leave(self) -> None:
        self._left.set()

    async def receive(self):
        await self._left.wait()
        return {"type": "http.disconnect"}


async def forever() -> None:
    await asyncio.Event().wait()


async def test_leaving_ends_the_body_with_its_reason():
    client = Client()
    asyncio.get_running_loop().call_soon(client.leave)
    with pytest.raises(ClientLeft):
        async with Watch(client.receive):
            await forever()
    assert asyncio.current_task().cancelling() == 0


async def test_a_body_that_ends_is_not_disturbed():
    client = Client()
    async with Watch(client.receive):
        pass
    client.leave()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0


async def test_the_bodys_own_exception_comes_through():
    with pytest.raises(ValueError, match="mine"):
        async with Watch(Client().receive):
            raise ValueError("mine")


async def test_stopping_ends_the_body_with_the_reason_given():
    watch = Watch(Client().receive)
    reason = Draining("enough")
    asyncio.get_running_loop().call_soon(watch.stop, reason)
    with pytest.raises(Draining) as caught:
        async with watch:
            await forever()
    assert caught.value is reason


async def test_only_the_first_reason_counts():
    client, loop = Client(), asyncio.get_running_loop()
    watch = Watch(client.receive)
    loop.call_soon(watch.stop, Draining("first"))
    loop.call_soon(watch.stop, Draining("second"))
    loop.call_soon(client.leave)
    with pytest.raises(Draining, match="first"):
        async with watch:
            await forever()
    assert asyncio.current_task().cancelling() == 0


async def test_stopping_after_the_end_does_nothing():
    watch = Watch(Client().receive)
    async with watch:
        pass
    watch.stop(Draining("too late"))
    await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0


async def test_stopping_while_the_watch_closes_does_nothing():
    watch = Watch(Client().receive)
    async with watch:
        asyncio.get_running_loop().call_soon(watch.stop, Draining("too late"))
    assert asyncio.current_task().cancelling() == 0


async def test_a_cancellation_from_outside_stays_one():
    async def body() -> None:
        async with Watch(Client().receive):
            await forever()

    task = asyncio.create_task(body())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()


async def test_a_cancellation_from_outside_wins_over_leaving():
    client = Client()

    async def body() -> None:
        async with Watch(client.receive):
            await forever()

    task = asyncio.create_task(body())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    client.leave()
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()


async def test_a_deadline_inside_the_body_is_not_taken_for_leaving():
    with pytest.raises(TimeoutError):
        async with Watch(Client().receive), asyncio.timeout(0):
            await forever()


async def test_cleaning_up_after_leaving_is_not_cut_short():
    client, cleaned = Client(), []
    asyncio.get_running_loop().call_soon(client.leave)
    with pytest.raises(ClientLeft):
        async with Watch(client.receive):
            try:
                await forever()
            finally:
                await asyncio.sleep(0.01)
                cleaned.append(True)
    assert cleaned == [True]


async def test_silence_is_told_until_something_is_sent():
    told: list[float] = []

    async def on_silence() -> None:
        told.append(asyncio.get_running_loop().time())
        watch.sent()

    watch = Watch(Client().receive, silence_s=0.01, on_silence=on_silence)
    async with watch:
        async with asyncio.timeout(1):
            while len(told) < 3:
                await asyncio.sleep(0.001)
    assert told[1] - told[0] >= 0.009


async def test_nothing_is_left_running():
    before = asyncio.all_tasks()
    for _ in range(5):
        async with Watch(Client().receive, silence_s=5):
            await asyncio.sleep(0)
    assert asyncio.all_tasks() == before

"""The deadline that every exchange with a backend is under."""

import asyncio
from math import inf

import pytest

from router.deadline import Deadline

pytestmark = pytest.mark.anyio

LONG_S = 30.0


def now() -> float:
    return asyncio.get_running_loop().time()


async def waiting(deadline: Deadline) -> bool:
    """Waits for something that never comes; whether it was the deadline that ended it."""
    try:
        async with asyncio.timeout(LONG_S):
            await asyncio.Event().wait()
    except asyncio.CancelledError as error:
        return deadline.close(error)
    return False


async def test_a_deadline_that_has_passed_ends_the_wait() -> None:
    assert await waiting(Deadline(now() + 0.02))
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_deadline_can_be_moved_sooner() -> None:
    deadline = Deadline(now() + LONG_S)
    deadline.wait_until(now() + 0.02)
    assert await waiting(deadline)


async def test_a_deadline_that_was_moved_later_does_not_end_the_wait_early() -> None:
    start = now()
    deadline = Deadline(start + 0.01)
    deadline.wait_until(start + 0.04)
    assert await waiting(deadline)
    assert now() - start >= 0.04


async def test_a_resting_deadline_ends_nothing_until_something_is_waited_for_again() -> None:
    deadline = Deadline(now() + 0.01)
    deadline.rest()
    await asyncio.sleep(0.03)
    deadline.wait_until(now() + 0.01)
    assert await waiting(deadline)


async def test_a_closed_deadline_ends_nothing() -> None:
    deadline = Deadline(now() + 0.01)
    assert not deadline.close(None)
    await asyncio.sleep(0.03)


async def test_somebody_elses_cancel_is_not_taken_for_the_deadline() -> None:
    async def body() -> bool:
        return await waiting(Deadline(inf))

    task = asyncio.create_task(body())
    await asyncio.sleep(0)
    task.cancel()
    assert not await task

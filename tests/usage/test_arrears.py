"""Counting what is owed after the answers have ended."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from router.canonical.events import TextDelta, UsageReported
from router.usage.arrears import MAX_WAITING, Arrears
from router.usage.estimate import Bill, owed
from router.usage.meter import Meter
from router.usage.prompt import MESSAGE_TOKENS, REPLY_TOKENS
from router.usage.tokenizer import Tokenizer
from tests.dialects.asking import parsed
from tests.surfaces.asking import eventually

pytestmark = pytest.mark.anyio

PROMPT = 2 + MESSAGE_TOKENS + REPLY_TOKENS
REQUEST = parsed(messages=[{"role": "user", "content": "hello world"}])


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def tokenizer(anyio_backend) -> AsyncIterator[Tokenizer]:
    made = Tokenizer()
    yield made
    await made.aclose()


@contextmanager
def busy(tokenizer: Tokenizer) -> Iterator[None]:
    """The tokenizer has its hands full inside the `with`."""
    done = threading.Event()
    tokenizer._thread.submit(done.wait, 20)
    try:
        yield
    finally:
        done.set()


def metered(*events) -> Meter:
    meter = Meter()
    meter.observe(events)
    return meter


def bill() -> Bill:
    return Bill(metered(TextDelta("hello world, hello")), REQUEST)


async def test_a_bill_is_counted_and_told_later(tokenizer):
    arrears, told = Arrears(tokenizer), []
    arrears.add(bill(), told.append)
    assert not told
    assert not arrears.is_idle
    await eventually(lambda: arrears.is_idle)
    assert told == [UsageReported(PROMPT, 4, estimated=True)]
    await arrears.aclose()


async def test_bills_that_do_not_fit_in_line_are_told_at_once_by_their_length(tokenizer):
    arrears, told = Arrears(tokenizer), []
    with busy(tokenizer):
        for _ in range(MAX_WAITING + 2):
            arrears.add(bill(), told.append)
        assert told == [UsageReported(3 + MESSAGE_TOKENS + REPLY_TOKENS, 5, estimated=True)] * 2
    await eventually(lambda: arrears.is_idle)
    assert len(told) == MAX_WAITING + 2
    await arrears.aclose()


async def test_every_bill_is_told_when_the_router_stops(tokenizer, monkeypatch):
    monkeypatch.setattr("router.usage.arrears.LAST_S", 0.02)
    arrears, told = Arrears(tokenizer), []
    with busy(tokenizer):
        for _ in range(3):
            arrears.add(bill(), told.append)
        await asyncio.sleep(0)
        await arrears.aclose()
        assert len(told) == 3
        arrears.add(bill(), told.append)
    assert len(told) == 4
    assert all(usage.estimated and usage.completion for usage in told)


def test_a_whole_answer_that_was_counted_owes_nothing():
    meter = metered(TextDelta("hi"), UsageReported(3, 1))
    assert owed(meter, REQUEST, is_whole=True) is None
    assert owed(None, REQUEST, is_whole=True) is None
    assert owed(meter, None, is_whole=True) is None


def test_the_count_of_an_answer_that_broke_off_is_one_of_its_beginning():
    meter = metered(UsageReported(3, 1), TextDelta("one two three four five"))
    found = owed(meter, REQUEST, is_whole=False)
    assert found is not None
    assert found.settled([5]) == UsageReported(3, 5, estimated=True)
    assert found.settled([0]) == UsageReported(3, 1, estimated=True)
    assert owed(metered(UsageReported(3, 1)), REQUEST, is_whole=False) is None

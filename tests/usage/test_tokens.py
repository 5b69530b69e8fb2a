"""Tokens counted and ids decoded in the process that knows the vocabulary, offline."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest

from router.errors import InternalError, InvalidParameter
from router.usage import tokenizer as tokenizer_module
from router.usage.tokenizer import MAX_IDS, Tokenizer, guess

pytestmark = pytest.mark.anyio

STALL_S = 0.01
TEXT = "The quick brown fox jumps over the lazy dog. "


@pytest.fixture
async def tokenizer(anyio_backend) -> AsyncIterator[Tokenizer]:
    made = Tokenizer()
    yield made
    await made.aclose()


async def test_a_text_is_counted_as_openai_counts_it(tokenizer):
    assert await tokenizer.count("hello world") == 2
    assert await tokenizer.count("") == 0
    assert await tokenizer.count(TEXT * 1000) == pytest.approx(10_000, rel=0.01)


async def test_ids_are_the_text_they_stand_for(tokenizer):
    assert await tokenizer.decode(((15339, 1917), (15339,))) == ("hello world", "hello")


async def test_text_beyond_ascii_comes_back_whole(tokenizer):
    assert (await tokenizer.decode(((30, 57668, 53901),)))[0].startswith("?")


@pytest.mark.parametrize("ids", [(10**9,), (-1,), (100_300,), (2**70,)])
async def test_ids_that_stand_for_nothing_are_a_mistake(tokenizer, ids):
    with pytest.raises(InvalidParameter) as caught:
        await tokenizer.decode((ids,))
    assert caught.value.param == "input"


async def test_too_many_ids_are_refused_before_any_work(tokenizer):
    with pytest.raises(InvalidParameter):
        await tokenizer.decode(((0,) * (MAX_IDS + 1),))
    assert not tokenizer.is_running


async def test_questions_that_come_together_get_their_own_answers(tokenizer):
    assert await asyncio.gather(*(tokenizer.count(TEXT * times) for times in (1, 5, 2))) == [11, 51, 21]


async def test_a_question_that_is_abandoned_does_not_confuse_the_next(tokenizer):
    asking = asyncio.create_task(tokenizer.count(TEXT * 1000))
    await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.wait((asking,))
    assert await tokenizer.count("hello world") == 2


async def test_a_process_that_was_killed_is_replaced(tokenizer):
    await tokenizer.count("a")
    os.kill(tokenizer._child.pid, signal.SIGKILL)
    tokenizer._child.wait()
    assert await tokenizer.count("hello world") == guess("hello world")
    assert await tokenizer.count("hello world") == 2


async def test_without_a_process_a_count_is_a_guess_and_ids_are_refused(tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer_module.sys, "executable", "/nowhere/python")
    assert await tokenizer.count("hello world") == 3
    with pytest.raises(InternalError):
        await tokenizer.decode(((15339,),))


async def test_a_count_that_takes_too_long_is_a_guess(tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer_module, "TIMEOUT_S", 0.001)
    assert await tokenizer.count(TEXT) == guess(TEXT)


async def test_after_the_end_nothing_is_started(tokenizer):
    await tokenizer.aclose()
    assert await tokenizer.count("hello world") == 3
    assert not tokenizer.is_running


async def test_the_process_ends_with_its_owner(tokenizer):
    await tokenizer.count("a")
    child = tokenizer._child
    await tokenizer.aclose()
    assert child.poll() is not None


async def longest_stall_s() -> float:
    """The longest that the loop did not come round while a vocabulary was loaded and a long text counted."""
    longest, last = 0.0, time.perf_counter()
    tokenizer = Tokenizer()
    counting = asyncio.create_task(tokenizer.count(TEXT * 4_000))
    while not counting.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    await tokenizer.aclose()
    assert counting.result() == pytest.approx(40_000, rel=0.01)
    return longest


async def test_the_event_loop_goes_on_while_a_vocabulary_is_loaded_and_a_long_text_counted():
    """The machine may pause a process now and then; what stalls the loop would stall it every time."""
    assert min([await longest_stall_s() for _ in range(4)]) < STALL_S


def test_the_router_itself_never_loads_the_vocabulary():
    code = "import sys, router.app; sys.exit('tiktoken' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=20).returncode == 0

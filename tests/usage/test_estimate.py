"""What is estimated when the backend does not count, and from what."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from router.canonical.events import ReasoningDelta, TextDelta, ToolCallDelta, ToolCallStarted, UsageReported
from router.dialects import openai_embeddings
from router.usage.calibration import UNKNOWN
from router.usage.estimate import settled, settled_embedding
from router.usage.meter import Meter
from router.usage.prompt import (
    IMAGE_TOKENS,
    MARGIN,
    MAX_CHARS,
    MAX_MESSAGES,
    MESSAGE_TOKENS,
    REPLY_TOKENS,
    TOOL_TOKENS,
    Count,
    prompt_count,
)
from router.usage.tokenizer import Tokenizer
from tests.dialects.asking import FUNCTION, parsed

pytestmark = pytest.mark.anyio

ONE = {"role": "user", "content": "hello world"}
PER_ONE = 2 + MESSAGE_TOKENS


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def tokenizer(anyio_backend) -> AsyncIterator[Tokenizer]:
    made = Tokenizer()
    yield made
    await made.aclose()


def metered(*events) -> Meter:
    meter = Meter()
    meter.observe(events)
    return meter


async def prompt(tokenizer, *messages, **fields) -> int:
    return (await prompt_count(parsed(messages=list(messages), **fields), tokenizer)).tokens


async def test_a_prompt_is_its_text_and_what_a_template_adds(tokenizer):
    assert await prompt(tokenizer, ONE) == PER_ONE + REPLY_TOKENS
    assert await prompt(tokenizer, ONE, ONE, ONE) == 3 * PER_ONE + REPLY_TOKENS


async def test_a_name_a_call_and_its_result_count(tokenizer):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = {"role": "assistant", "content": None, "tool_calls": [call]}
    bare = await prompt(tokenizer, {"role": "assistant", "content": None})
    assert await prompt(tokenizer, asked) == bare + TOOL_TOKENS + 2
    assert await prompt(tokenizer, {**ONE, "name": "Ann"}) > await prompt(tokenizer, ONE)


async def test_a_tool_is_its_description_and_schema(tokenizer):
    tools = [{"type": "function", "function": FUNCTION}]
    added = await prompt(tokenizer, ONE, tools=tools) - await prompt(tokenizer, ONE)
    schema = await tokenizer.count("f" + "d" + json.dumps(FUNCTION["parameters"]))
    assert added == TOOL_TOKENS + schema


async def test_an_image_has_a_price_of_its_own(tokenizer):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}
    text = {"type": "text", "text": "hello world"}
    assert await prompt(tokenizer, {"role": "user", "content": [text, image]}) == PER_ONE + REPLY_TOKENS + IMAGE_TOKENS


@pytest.mark.parametrize("times", [2, 5])
async def test_what_is_beyond_the_limit_is_taken_to_be_like_what_is_before(tokenizer, times):
    sentence = "All work and no play makes Jack a dull boy. "
    once = sentence * (MAX_CHARS // len(sentence))
    counted = await prompt(tokenizer, {"role": "user", "content": once})
    assert await prompt(tokenizer, {"role": "user", "content": once * times}) == pytest.approx(
        times * counted, rel=0.01
    )
    apart = [{"role": "user", "content": once}] * times
    assert await prompt(tokenizer, *apart) == pytest.approx(times * counted, rel=0.01)


async def test_a_great_many_messages_are_not_all_looked_at(tokenizer):
    request = parsed(messages=[ONE] * (3 * MAX_MESSAGES))
    used = time.thread_time()
    assert (await prompt_count(request, tokenizer)).tokens == pytest.approx(3 * MAX_MESSAGES * PER_ONE, rel=0.01)
    assert time.thread_time() - used < 0.05


async def test_what_was_counted_is_left_alone(tokenizer):
    counted = UsageReported(7, 5, cached=3)
    assert await settled(metered(TextDelta("hello world"), counted), parsed(), tokenizer) == counted


@pytest.mark.parametrize(
    ("counted", "wanted"),
    [
        (UsageReported(prompt=70), UsageReported(prompt=70, completion=2, estimated=True)),
        (UsageReported(completion=50, cached=4), UsageReported(8, 50, cached=4, estimated=True)),
        (UsageReported(), UsageReported(8, 2, estimated=True)),
        (UsageReported(0, 0), UsageReported(8, 2, estimated=True)),
    ],
    ids=["prompt", "completion", "nothing", "zeros"],
)
async def test_only_what_is_missing_is_estimated(tokenizer, counted, wanted):
    assert await settled(metered(TextDelta("hello world"), counted), parsed(messages=[{**ONE, "content": "hi"}]),
                         tokenizer) == wanted  # fmt: skip


async def test_an_answer_without_a_word_may_be_no_tokens(tokenizer):
    assert metered(UsageReported(7, 0)).is_settled
    assert not metered(UsageReported(7, 0), TextDelta("a")).is_settled


async def test_all_that_was_said_counts_as_completion(tokenizer):
    said = (ReasoningDelta("hello"), TextDelta(" wor"), TextDelta("ld"), ToolCallStarted(0, "c", "f"),
            ToolCallDelta(0, "{"), ToolCallDelta(0, "}"))  # fmt: skip
    found = await settled(metered(*said), parsed(), tokenizer)
    assert found.completion == await tokenizer.count("hello worldf{}") + TOOL_TOKENS


@pytest.mark.parametrize("counted", [None, UsageReported(), UsageReported(0)])
async def test_embeddings_are_estimated_too(tokenizer, counted):
    request = openai_embeddings.parse_request(b'{"model":"m","input":["hello world"," hello world"]}')
    assert await settled_embedding(counted, request, tokenizer) == UsageReported(4, estimated=True)
    assert await settled_embedding(UsageReported(9), request, tokenizer) == UsageReported(9)


async def test_estimates_made_at_the_same_time_do_not_mix(tokenizer):
    requests = [parsed(messages=[ONE] * count) for count in range(1, 30)]
    found = await asyncio.gather(*(prompt_count(request, tokenizer) for request in requests))
    assert [count.tokens for count in found] == [count * PER_ONE + REPLY_TOKENS for count in range(1, 30)]


async def test_what_is_counted_says_how_far_it_may_be_off(tokenizer):
    english = await prompt_count(parsed(messages=[{"role": "user", "content": "hello world " * 500}]), tokenizer)
    hindi = await prompt_count(parsed(messages=[{"role": "user", "content": "नमस्ते दुनिया " * 500}]), tokenizer)
    assert (english.foreign, hindi.foreign) == (False, True)
    for count in (english, hindi):
        likely, low, high = count.corrected(UNKNOWN)
        assert low < likely < high
    assert hindi.text / hindi.corrected(UNKNOWN)[1] > english.text / english.corrected(UNKNOWN)[1]


def test_a_known_model_is_corrected_and_trusted():
    ratio = UNKNOWN
    for _ in range(50):
        ratio = ratio.learned(1_000, 1_300)
    likely, low, high = Count(2_000.0, foreign=True).corrected(ratio)
    assert likely == pytest.approx(2_600, abs=5)
    assert low == pytest.approx(2_600 / (1 + MARGIN), rel=0.01)
    assert high == pytest.approx(2_600 * (1 + MARGIN), rel=0.01)


def test_images_may_be_many_tokens_or_few():
    likely, low, high = Count(10.0, images=2).corrected(UNKNOWN)
    assert low < likely == 10 + 2 * IMAGE_TOKENS < high


async def test_a_count_that_is_only_a_guess_says_so():
    closed = Tokenizer()
    await closed.aclose()
    count = await prompt_count(parsed(messages=[ONE]), closed)
    assert count.guessed
    assert count.corrected(UNKNOWN)[1] < count.tokens / 3

"""The machinery of the official SDK: timeouts, leaving, raw answers, headers, the async client."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.fakes import Faults
from tests.running import NO_TLS
from tests.sdk.stage import KEY
from tests.sdk.talk import HELLO, Talk, text_of, user

SOON_S = 5.0
pytestmark = pytest.mark.anyio


@pytest.fixture
def scripted(talk: Talk) -> Talk:
    """A talk with a backend that can be made to hang."""
    if talk.fake is None:
        pytest.skip("a real backend hangs only when it wants to")
    return talk


def _eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _async_client(talk: Talk) -> openai.AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
    return openai.AsyncOpenAI(base_url=f"{talk.stage.url}/v1", api_key=KEY, max_retries=0, http_client=http)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_times_out_frees_the_backend(scripted: Talk, stream: bool) -> None:
    assert scripted.fake is not None
    scripted.fake.faults = Faults(hang_before_headers=True)
    with pytest.raises(openai.APITimeoutError):
        scripted.client.with_options(timeout=0.1).chat.completions.create(
            model=scripted.model, messages=user("hi"), stream=stream
        )
    _eventually(lambda: scripted.fake is not None and len(scripted.fake.disconnects) == 1)


def test_a_stream_that_is_closed_frees_the_backend(scripted: Talk) -> None:
    assert scripted.fake is not None
    scripted.fake.faults = Faults(stall_after=4)
    with scripted.client.chat.completions.create(model=scripted.model, messages=user("hi"), stream=True) as stream:
        next(iter(stream))
    _eventually(lambda: scripted.fake is not None and len(scripted.fake.disconnects) == 1)


def test_a_raw_answer_has_the_headers_that_explain_it(talk: Talk) -> None:
    raw = talk.client.chat.completions.with_raw_response.create(model=talk.model, messages=user(HELLO))
    assert raw.headers["x-turnout-backend"] == talk.kind.name
    assert raw.headers["x-turnout-attempts"] == "1"
    assert raw.headers["content-type"] == "application/json"
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer._request_id == raw.headers["x-request-id"]


def test_a_streaming_response_can_be_read_line_by_line(talk: Talk) -> None:
    with talk.client.chat.completions.with_streaming_response.create(
        model=talk.model, messages=user(HELLO), stream=True
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: {") for line in lines[:-1])


def test_a_clients_own_request_id_is_kept(talk: Talk) -> None:
    answer = talk.ask(extra_headers={"x-request-id": "my-own-id"})
    assert answer._request_id == "my-own-id"


def test_options_can_be_changed_for_one_call(talk: Talk) -> None:
    other = talk.client.with_options(timeout=30, max_retries=1, default_headers={"x-request-id": "for-one-call"})
    answer = other.chat.completions.create(model=talk.model, messages=user(HELLO))
    assert answer._request_id == "for-one-call"


async def test_the_async_client_answers_and_streams(talk: Talk) -> None:
    async with _async_client(talk) as sdk:
        asked: Any = {"model": talk.model, "messages": user(HELLO)}
        whole = await sdk.chat.completions.create(**asked)
        stream = await sdk.chat.completions.create(stream=True, **asked)
        chunks = [chunk async for chunk in stream]
        listed = [model.id async for model in sdk.models.list()]
    assert whole.choices[0].message.content
    assert text_of(chunks)
    assert talk.model in listed


async def test_the_async_stream_helper_assembles_an_answer(talk: Talk) -> None:
    async with (
        _async_client(talk) as sdk,
        sdk.chat.completions.stream(model=talk.model, messages=user(HELLO)) as stream,
    ):
        await stream.until_done()
        answer = await stream.get_final_completion()
    assert answer.choices[0].message.content


async def test_many_calls_at_once_are_told_apart(talk: Talk) -> None:
    async with _async_client(talk) as sdk:
        asked = [
            sdk.chat.completions.create(
                model=talk.model, messages=user(HELLO), max_tokens=4, extra_headers={"x-request-id": f"call-{number}"}
            )
            for number in range(4)
        ]
        answers = await asyncio.gather(*asked)
    assert [answer._request_id for answer in answers] == [f"call-{number}" for number in range(4)]


async def test_a_cancelled_task_frees_the_backend(scripted: Talk) -> None:
    assert scripted.fake is not None
    scripted.fake.faults = Faults(hang_before_headers=True)
    async with _async_client(scripted) as sdk:
        asking = asyncio.create_task(sdk.chat.completions.create(model=scripted.model, messages=user("hi")))
        async with asyncio.timeout(SOON_S):
            while not scripted.fake.requests:
                await asyncio.sleep(0.002)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    _eventually(lambda: scripted.fake is not None and len(scripted.fake.disconnects) == 1)

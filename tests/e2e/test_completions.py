"""Text completions and tokens with a real llama.cpp."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from router import embedded
from tests.e2e.real_llama import real_llama
from tests.running import RunningRouter, running
from tests.surfaces.asking import Streamed, alias, calling, error_of, eventually, idle

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real,
    pytest.mark.skipif(not embedded.available(), reason="needs the extra `demo`"),
]

COMPLETIONS = "/v1/completions"
PROMPT = "The sky is"
CONTEXT = 256


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def r(anyio_backend: str) -> AsyncIterator[RunningRouter]:
    async with real_llama("smollm2", context=CONTEXT, parallel=1) as server:
        config = {
            "backends": {"desk": {"type": "llama_cpp", "url": server.url}},
            "models": alias("tiny", "desk/smollm2", max_tokens=200),
        }
        async with running(config) as r:
            yield r


async def complete(r: RunningRouter, **fields: Any) -> Any:
    body = {"model": "tiny", "prompt": PROMPT, "max_tokens": 6, "temperature": 0, **fields}
    response = await r.client.post(COMPLETIONS, json=body)
    if not fields.get("stream"):
        assert response.status_code == 200, response.text
        return response.json()
    return Streamed(response.status_code, response.headers, response.content)


async def test_a_stream_adds_up_to_the_whole_text(r):
    whole = await complete(r)
    answer = await complete(r, stream=True, stream_options={"include_usage": True})
    text = "".join(choice["text"] for chunk in answer.chunks for choice in chunk["choices"])
    assert text == whole["choices"][0]["text"]
    assert text.startswith(" a canvas")
    assert whole["usage"]["prompt_tokens"] == 3
    assert whole["usage"]["completion_tokens"] == answer.usages[0]["completion_tokens"] == 6
    assert "estimated" not in whole["usage"]
    assert answer.done


async def test_prompts_of_a_list_are_answered_as_they_are_alone(r):
    prompts = [PROMPT, "Grass is a green plant that"]
    alone = [(await complete(r, prompt=prompt))["choices"][0]["text"] for prompt in prompts]
    together = await complete(r, prompt=prompts, echo=True)
    assert [choice["text"] for choice in together["choices"]] == [
        prompt + text for prompt, text in zip(prompts, alone, strict=True)
    ]


async def test_token_ids_are_the_models_own(r):
    tokens = (await r.client.post("/tokenize", json={"model": "tiny", "content": PROMPT})).json()["tokens"]
    assert (await r.client.post("/detokenize", json={"model": "tiny", "tokens": tokens})).json() == {"content": PROMPT}
    by_text, by_ids = await complete(r), await complete(r, prompt=tokens)
    assert by_ids["choices"] == by_text["choices"]


async def test_log_probabilities_say_where_each_token_stands(r):
    choice = (await complete(r, logprobs=2))["choices"][0]
    lists = choice["logprobs"]
    assert "".join(lists["tokens"]) == choice["text"]
    assert all(
        choice["text"][at:].startswith(token) for at, token in zip(lists["text_offset"], lists["tokens"], strict=True)
    )
    assert {len(others) for others in lists["top_logprobs"]} == {2}
    assert max(lists["token_logprobs"]) <= 0


async def test_a_stop_string_ends_the_text_and_is_not_part_of_it(r):
    choice = (await complete(r, stop=[" canvas"]))["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == (" a", "stop")


async def test_a_prompt_that_does_not_fit_is_refused_before_it_is_sent(r):
    response = await r.client.post(COMPLETIONS, json={"model": "tiny", "prompt": "storm " * 2_000})
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "prompt")


async def test_many_prompts_that_fit_one_by_one_are_answered(r):
    answer = await complete(r, prompt=["storm " * 60] * 6, max_tokens=1)
    assert len(answer["choices"]) == 6


async def test_what_this_model_cannot_do_is_told_by_its_name(r):
    response = await r.client.post(COMPLETIONS, json={"model": "tiny", "prompt": "a", "suffix": "b"})
    assert (response.status_code, error_of(response)["param"]) == (400, "suffix")
    response = await r.client.post("/v1/rerank", json={"model": "tiny", "query": "q", "documents": ["a"]})
    assert (response.status_code, error_of(response)["code"]) == (501, "unsupported_operation")


async def test_a_client_who_leaves_stops_the_text(r):
    body = {"model": "tiny", "prompt": ["Once upon a time", "And then"], "stream": True, "max_tokens": 200}
    async with calling(r, COMPLETIONS, body) as caller:
        await caller.until(b"data: ", times=2)
    async with asyncio.timeout(5):
        await eventually(lambda: idle(r))
    assert (await complete(r))["choices"][0]["text"]

"""What an explanation says of windows, and that the answer bears it out."""

import pytest

from tests.fakes import FakeBackend, FakeModel
from tests.running import running
from tests.surfaces.asking import CHAT, alias, asked, backends, error_of

pytestmark = pytest.mark.anyio

EXPLAIN = "/v1/router/explain"
LONG = [{"role": "user", "content": "the quick brown fox " * 2_000}]
CLOSE = [{"role": "user", "content": "the quick brown fox " * 250}]


@pytest.fixture
async def sizes(anyio_backend):
    """An alias whose first target has a window of 1,000 tokens, and whose second one of 32,000."""
    async with (
        FakeBackend([FakeModel("m:latest", ("completion",), context_length=1_000)]) as small,
        FakeBackend([FakeModel("m:latest", ("completion",), context_length=32_000)]) as large,
        running(
            {
                "backends": backends({"small": small, "large": large}),
                "models": {
                    **alias("both", "small/m", "large/m"),
                    **alias("tight", "small/m"),
                    **alias("cut", "small/m", truncate=True),
                },
            }
        ) as r,
    ):
        yield r, small, large


async def explained(r, model, messages):
    response = await r.client.post(EXPLAIN, json={"model": model, "messages": messages})
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_target_that_the_prompt_does_not_fit_is_ruled_out_with_both_numbers(sizes):
    r, small, large = sizes
    told = await explained(r, "both", LONG)
    assert [each["backend"] for each in told["candidates"]] == ["large"]
    (gone,) = told["rejected"]
    assert (gone["backend"], gone["model"]) == ("small", "m")
    assert gone["why"].startswith("a window of 1000 tokens for a prompt of about ")
    assert told["reason"] == "alias both, larger context"
    assert (small.requests, large.requests) == ([], [])


async def test_what_is_answered_is_what_was_explained(sizes):
    r, *_ = sizes
    told = await explained(r, "both", LONG)
    response = await r.client.post(CHAT, json={"model": "both", "messages": LONG})
    assert response.headers["x-turnout-backend"] == told["candidates"][0]["backend"]
    assert response.headers["x-turnout-reason"] == told["reason"]


async def test_when_nothing_fits_the_explanation_says_of_each_why(sizes):
    r, *_ = sizes
    told = await explained(r, "tight", LONG)
    assert (told["candidates"], told["reason"]) == ([], "alias tight, no window is large enough")
    assert [gone["backend"] for gone in told["rejected"]] == ["small"]
    response = await r.client.post(CHAT, json={"model": "tight", "messages": LONG})
    assert (response.status_code, error_of(response)["code"]) == (400, "context_length_exceeded")


async def test_near_the_limit_it_says_that_only_a_count_can_tell(sizes):
    r, *_ = sizes
    first, second = (await explained(r, "both", CLOSE))["candidates"]
    assert (first["backend"], first["note"]) == ("small", "close to its window of 1000 tokens: only a count can tell")
    assert second["note"] == ""


@pytest.mark.parametrize("messages", [LONG, CLOSE])
async def test_an_alias_that_lets_prompts_be_cut_has_no_window(sizes, messages):
    r, *_ = sizes
    told = await explained(r, "cut", messages)
    assert ([each["note"] for each in told["candidates"]], told["rejected"]) == ([""], [])


async def test_a_short_prompt_is_at_home_everywhere(sizes):
    r, *_ = sizes
    response = await r.client.post(EXPLAIN, json=asked("both"))
    assert [each["backend"] for each in response.json()["candidates"]] == ["small", "large"]

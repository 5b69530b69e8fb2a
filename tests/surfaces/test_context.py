"""The context contract over HTTP: what does not fit goes elsewhere or nowhere, and no cut is silent."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fakes import FakeBackend, FakeModel, Scripted
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, error_of, streamed

pytestmark = pytest.mark.anyio

NAMES = {"ollama": "m:latest", "llama_cpp": "m", "openai": "m", "claude": "claude-sonnet-5"}
PROSE = "The quick brown fox jumps over the lazy dog near the river bank. "
WORDS = 13


def words(count: int) -> list[dict[str, str]]:
    """A conversation of so many plain words, each a token for the fakes and about one for the estimate."""
    return [{"role": "user", "content": PROSE * (count // WORDS)}]


def model(kind: str, context: int, **more: Any) -> FakeModel:
    return FakeModel(NAMES[kind], ("completion", "tools"), context_length=context, **more)


@pytest.fixture(params=["ollama", "llama_cpp"])
async def small(request, anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend([model(request.param, 1024)], flavour=request.param) as fake:
        yield fake


@pytest.fixture
async def r(small) -> AsyncIterator[RunningRouter]:
    config = {"backends": backends({"small": small}), "models": alias("a", f"small/{NAMES[small.flavour]}")}
    async with running(config) as r:
        yield r


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_that_fits_nowhere_is_refused_before_any_backend_sees_it(r, small, stream):
    response = await r.client.post(CHAT, json=asked("a", messages=words(5000), stream=stream))
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "messages")
    assert error["type"] == "invalid_request_error"
    told = re.fullmatch(
        r"This model's maximum context length is (\d+) tokens\. However, your messages resulted in (\d+) tokens\. "
        r"Please reduce the length of the messages\.",
        error["message"],
    )
    assert told
    assert int(told[1]) == 1024
    assert 4000 < int(told[2]) < 6500
    assert small.requests == []


async def test_an_output_limit_that_does_not_fit_is_refused_with_both_numbers(r, small):
    error = error_of(await r.client.post(CHAT, json=asked("a", max_tokens=3000)))
    assert error["code"] == "context_length_exceeded"
    assert re.search(r"you requested \d+ tokens \(\d+ in the messages, 3000 in the completion\)", error["message"])
    assert small.requests == []


async def test_a_prompt_of_any_length_goes_where_nobody_knows_the_window(anyio_backend):
    async with (
        FakeBackend([model("openai", 10)], flavour="openai") as fake,
        running({"backends": backends({"lab": fake})}) as r,
    ):
        assert (await r.client.post(CHAT, json=asked("m", messages=words(20_000)))).status_code == 200


async def test_the_alias_can_say_the_window_of_a_server_that_cannot(anyio_backend):
    async with FakeBackend([model("openai", 10)], flavour="openai") as fake:
        models = alias("a", "lab/m", context_length=512)
        async with running({"backends": backends({"lab": fake}), "models": models}) as r:
            assert error_of(await r.client.post(CHAT, json=asked("a", messages=words(2000))))["code"] == (
                "context_length_exceeded"
            )
    assert fake.requests == []


async def test_a_prompt_too_long_for_the_first_target_goes_to_one_that_has_room(anyio_backend):
    async with (
        FakeBackend([model("ollama", 1024)]) as small,
        FakeBackend([model("llama_cpp", 32_768)], flavour="llama_cpp", reply="large") as large,
    ):
        config = {"backends": backends({"small": small, "large": large}), "models": alias("a", "small/m", "large/m")}
        async with running(config) as r:
            answer = await r.client.post(CHAT, json=asked("a", messages=words(3000)))
            short = await r.client.post(CHAT, json=asked("a"))
    assert answer.json()["choices"][0]["message"]["content"] == "large"
    assert answer.headers["x-turnout-reason"] == "alias a, larger context"
    assert answer.headers["x-turnout-attempts"] == "1"
    assert short.headers["x-turnout-backend"] == "small"
    assert len(small.requests) == 1


async def test_where_all_that_might_have_room_fail_the_prompt_is_what_is_wrong(small):
    gone = {"type": "openai", "url": "http://127.0.0.1:9", "models": ["m"]}
    models = alias("a", "gone/m", f"small/{NAMES[small.flavour]}")
    async with running({"backends": backends({"small": small}) | {"gone": gone}, "models": models}) as r:
        response = await r.client.post(CHAT, json=asked("a", messages=words(5000)))
    assert error_of(response)["code"] == "context_length_exceeded"
    assert small.requests == []


@pytest.mark.parametrize(("count", "status"), [(950, 200), (1060, 400)])
@pytest.mark.parametrize("is_old", [False, True])
async def test_near_the_limit_llama_cpp_itself_counts(anyio_backend, count, status, is_old):
    async with FakeBackend([model("llama_cpp", 1024)], flavour="llama_cpp") as fake:
        fake.too_old_to_count = is_old
        async with running({"backends": backends({"cpp": fake})}) as r:
            response = await r.client.post(CHAT, json=asked("m", messages=words(count)))
    assert response.status_code == status
    assert any(probe.path.endswith(("/input_tokens", "/tokenize")) for probe in fake.probes)
    assert len(fake.requests) == (status == 200)


async def test_far_from_the_limit_nobody_is_asked_to_count(r, small):
    for count in (100, 5000):
        await r.client.post(CHAT, json=asked("a", messages=words(count)))
    assert not any(probe.path.endswith(("/input_tokens", "/tokenize")) for probe in small.probes)


@pytest.mark.parametrize(("count", "status"), [(950, 200), (1060, 400)])
async def test_near_the_limit_claude_itself_counts(anyio_backend, count, status):
    async with FakeBackend([model("claude", 1024)], flavour="claude") as fake:
        config = {"backends": {"claude": {"type": "claude", "url": fake.url, "api_key": "k" * 20}}}
        async with running(config) as r:
            await r.router.fleet.adapters["claude"].probe(timeout_s=5)
            await r.looked()
            response = await r.client.post(CHAT, json=asked(NAMES["claude"], messages=words(count), max_tokens=9000))
    assert response.status_code == status
    assert [probe.path for probe in fake.probes].count("/v1/messages/count_tokens") == 1
    assert len(fake.requests) == (status == 200)


async def test_a_count_that_fails_leaves_it_to_the_backend(anyio_backend):
    async with FakeBackend([model("llama_cpp", 1024)], flavour="llama_cpp") as fake:
        fake.script("/v1/chat/completions/input_tokens", Scripted(status=500))
        fake.script("/apply-template", Scripted(status=500))
        async with running({"backends": backends({"cpp": fake})}) as r:
            assert (await r.client.post(CHAT, json=asked("m", messages=words(1060)))).status_code == 200


async def test_an_alias_that_truncates_checks_nothing(anyio_backend):
    async with FakeBackend([model("ollama", 1024)]) as fake:
        models = alias("a", "desk/m", truncate=True)
        async with running({"backends": backends({"desk": fake}), "models": models}) as r:
            assert (await r.client.post(CHAT, json=asked("a", messages=words(5000)))).status_code == 200
    assert fake.requests[0].json["truncate"] is True


async def test_the_pinned_length_counts_rather_than_the_loaded_one(anyio_backend):
    async with FakeBackend([model("ollama", 131_072)]) as fake:
        models = alias("a", "desk/m", context_length=1024)
        async with running({"backends": backends({"desk": fake}), "models": models}) as r:
            by_alias = await r.client.post(CHAT, json=asked("a", messages=words(5000)))
            by_name = await r.client.post(CHAT, json=asked("desk/m", messages=words(500)))
    assert error_of(by_alias)["code"] == "context_length_exceeded"
    assert by_name.status_code == 200
    assert fake.requests[0].json["options"] == {"num_ctx": 1024}


async def test_two_clients_never_make_a_server_load_a_model_anew(anyio_backend):
    async with FakeBackend([model("ollama", 4096)]) as fake:
        models = alias("a", "desk/m", context_length=2048, options={"num_gpu": 7})
        async with running({"backends": backends({"desk": fake}), "models": models}) as r:
            for name, options in (("a", {"num_ctx": 512}), ("desk/m", {"num_gpu": 1}), ("m", {"use_mmap": False})):
                response = await r.client.post(CHAT, json=asked(name, options=options))
                assert response.headers["x-turnout-dropped"] == next(iter(options))
            await r.client.post("/v1/embeddings", json={"model": "desk/m", "input": "x"})
    runner = [{"num_ctx": 2048, "num_gpu": 7}] * 4
    assert [request.json["options"] for request in fake.requests] == runner


def cut(read: int) -> Scripted:
    said = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": "ok"}}
    return Scripted(lines=[{**said, "done": True, "done_reason": "stop", "prompt_eval_count": read, "eval_count": 1}])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_that_was_cut_in_silence_is_told(anyio_backend, caplog, stream):
    async with FakeBackend([model("ollama", 131_072)]) as fake:
        fake.script("/api/chat", cut(512))
        async with running({"backends": backends({"desk": fake})}) as r:
            response = await r.client.post(CHAT, json=asked("m", messages=words(3000), stream=stream))
            metrics = (await r.client.get("/metrics")).text
    told = response.text if stream else response.headers["x-turnout-warning"]
    assert re.search(r"desk has cut the prompt: it read 512 of about \d+ tokens", told)
    if stream:
        assert response.text.index(": warning: ") < response.text.index("data: [DONE]")
    assert "desk/m:latest has cut a prompt" in caplog.text
    assert 'turnout_prompts_cut_total{backend="desk",model="m"} 1.0' in metrics


@pytest.mark.parametrize("read", [2900, 3300])
async def test_a_prompt_that_was_read_whole_is_no_cause_for_warning(anyio_backend, read):
    async with FakeBackend([model("ollama", 131_072)]) as fake:
        fake.script("/api/chat", cut(read))
        async with running({"backends": backends({"desk": fake})}) as r:
            response = await r.client.post(CHAT, json=asked("m", messages=words(3000)))
    assert "x-turnout-warning" not in response.headers


async def test_true_counts_teach_the_estimate(anyio_backend):
    async with (
        FakeBackend([model("llama_cpp", 1024)], flavour="llama_cpp") as fake,
        running({"backends": backends({"cpp": fake})}) as r,
    ):
        for _ in range(3):
            await r.client.post(CHAT, json=asked("m", messages=words(900)))
        metrics = (await r.client.get("/metrics")).text
    assert 'turnout_estimate_error_ratio{calibrated="no",kind="llama_cpp",model="m",text="plain"}' in metrics
    assert 'turnout_estimate_factor{kind="llama_cpp",model="m",text="plain"}' in metrics


async def test_what_was_learned_survives_a_restart(anyio_backend, tmp_path):
    async with FakeBackend([model("llama_cpp", 1024)], flavour="llama_cpp") as fake:
        config = {"backends": backends({"cpp": fake}), "server": {"data_dir": str(tmp_path / "data")}}
        async with running(config) as r:
            await r.client.post(CHAT, json=asked("m", messages=words(900)))
        async with running(config) as r:
            assert 'turnout_estimate_factor{kind="llama_cpp"' in (await r.client.get("/metrics")).text
    assert (tmp_path / "data" / "calibration.json").exists()


async def test_a_whole_answer_says_how_much_room_is_left(r):
    response = await r.client.post(CHAT, json=asked("a"))
    used, _, window = response.headers["x-turnout-context"].partition("/")
    usage = response.json()["usage"]
    assert (int(used), window) == (usage["total_tokens"], "1024")


async def test_an_image_is_not_counted_by_its_bytes(anyio_backend):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 40_000}}
    content = [{"type": "text", "text": "what is this?"}, image]
    async with (
        FakeBackend([FakeModel("m", ("completion", "vision"), context_length=8192)]) as fake,
        running({"backends": backends({"desk": fake})}) as r,
    ):
        answer = await r.client.post(CHAT, json=asked("m", messages=[{"role": "user", "content": content}]))
    assert answer.status_code == 200


async def test_streams_of_long_prompts_still_end_as_they_should(r):
    answer = await streamed(r.client, "a", messages=words(500), stream_options={"include_usage": True})
    assert (answer.done, answer.finish_reasons, len(answer.usages)) == (True, ["stop"], 1)

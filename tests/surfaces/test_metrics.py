"""`/metrics` counts what requests cost, and says nothing that a client could have written."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import FakeBackend, Faults
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, calling, eventually, idle, streamed, take_down

pytestmark = pytest.mark.anyio

KEY = "planted-caller-key"


@pytest.fixture
async def fake(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend() as fake:
        yield fake


@pytest.fixture
async def second(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai") as second:
        yield second


@pytest.fixture
async def r(fake, second) -> AsyncIterator[RunningRouter]:
    config = {
        "backends": backends({"desk": fake, "lab": second}, max_parallel=1),
        "models": alias("both", "desk/llama3.2", "lab/fake-chat"),
    }
    async with running(config) as r:
        yield r


class Scraped:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples that carry at least these labels."""
        return sum(s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items())

    def labels(self, name: str) -> set[str]:
        return {s.labels[name] for s in self.samples if name in s.labels}


async def scraped(r: RunningRouter) -> Scraped:
    await eventually(lambda: idle(r) and r.router.arrears.is_idle)
    return await now(r)


async def now(r: RunningRouter) -> Scraped:
    response = await r.client.get("/metrics")
    assert response.status_code == 200
    return Scraped(response.text)


CHAT_ON_DESK = {"operation": "chat", "backend": "desk", "model": "llama3.2"}


async def test_requests_tokens_and_times_are_counted(r, fake):
    fake.faults = Faults(chunk_delay_s=0.005)
    await streamed(r.client, "both")
    await r.client.post(CHAT, json=asked("both"))
    seen = await scraped(r)
    assert seen.value("turnout_requests_total", **CHAT_ON_DESK, outcome="2xx") == 2
    assert seen.value("turnout_tokens_total", **CHAT_ON_DESK, kind="prompt") == 4
    assert seen.value("turnout_tokens_total", **CHAT_ON_DESK, kind="completion") == 8
    assert seen.value("turnout_request_duration_seconds_count", **CHAT_ON_DESK) == 2
    assert seen.value("turnout_time_to_first_token_seconds_count", **CHAT_ON_DESK) == 1
    assert seen.value("turnout_output_tokens_per_second_count", **CHAT_ON_DESK) == 1
    assert 0.01 < seen.value("turnout_request_duration_seconds_sum") < 2


async def test_tokens_that_nobody_counted_are_estimated_and_counted_apart(r, fake):
    await streamed(r.client, "both")
    fake.counts = False
    await streamed(r.client, "both")
    seen = await scraped(r)
    labels = {**CHAT_ON_DESK, "kind": "completion"}
    assert seen.value("turnout_tokens_total", **labels, usage="exact") == 4
    assert seen.value("turnout_tokens_total", **labels, usage="estimated") == 5
    assert seen.labels("usage") == {"exact", "estimated"}


async def test_embeddings_are_counted_apart(r):
    await r.client.post("/v1/embeddings", json={"model": "nomic-embed-text", "input": "one two"})
    seen = await scraped(r)
    labels = {"operation": "embeddings", "backend": "desk", "model": "nomic-embed-text"}
    assert seen.value("turnout_requests_total", **labels, outcome="2xx") == 1
    assert seen.value("turnout_tokens_total", **labels, kind="prompt") == 2


async def test_a_fallback_is_counted_for_the_backend_that_was_given_up(r, fake):
    fake.faults = Faults(status=500)
    await streamed(r.client, "both")
    seen = await scraped(r)
    assert seen.value("turnout_fallbacks_total", backend="desk") == 1
    assert seen.value("turnout_failed_attempts_total", backend="desk", code="backend_error") == 1
    assert seen.value("turnout_requests_total", backend="lab", outcome="2xx") == 1
    assert seen.value("turnout_errors_total") == 0


async def test_errors_are_counted_by_code(r, fake, second):
    await r.client.post(CHAT, content=b"{")
    await r.client.post(CHAT, json=asked("nobody"))
    fake.faults = Faults(drop_after=3)
    await streamed(r.client, "both")
    seen = await scraped(r)
    assert seen.value("turnout_errors_total", backend="none", code="invalid_json") == 1
    assert seen.value("turnout_errors_total", backend="none", code="model_not_found") == 1
    assert seen.value("turnout_errors_total", backend="desk", code="stream_broken") == 1
    assert seen.value("turnout_requests_total", backend="none", outcome="4xx") == 2
    assert seen.value("turnout_requests_total", **CHAT_ON_DESK, outcome="broken") == 1


async def test_who_leaves_and_who_waits_are_counted(r, fake):
    fake.faults = Faults(stall_after=2)
    body = asked("desk/llama3.2", stream=True)
    async with calling(r, body=body) as first, calling(r, body=body) as other:
        await first.until(b"Hello")
        await eventually(lambda: r.router.drain.in_flight == 2)
        during = await now(r)
        first.leave()
        other.leave()
        after = await scraped(r)
    assert during.value("turnout_requests_in_flight") == 2
    assert during.value("turnout_backend_in_flight", backend="desk") == 1
    assert during.value("turnout_requests_waiting", backend="desk") == 1
    assert after.value("turnout_requests_in_flight") == 0
    assert after.value("turnout_client_left_total", backend="desk") == 2
    assert after.value("turnout_requests_total", outcome="client_left") == 2


async def test_the_queue_is_counted_by_class_and_refusals_by_reason(fake):
    fake.faults = Faults(stall_after=2, times=1)
    body = asked("desk/llama3.2", stream=True)
    slow = "X-Turnout-Priority: batch\r\n"
    async with (
        running({"backends": backends({"desk": fake}), "queue": {"max_depth": 1}}) as r,
        calling(r, body=body) as first,
    ):
        await first.until(b"Hello")
        async with calling(r, body=body, head=slow) as other:
            await eventually(lambda: r.router.drain.in_flight == 2)
            assert (await r.client.post(CHAT, json=body)).status_code == 503
            during = await now(r)
            first.leave()
            await other.until(b"[DONE]")
        await r.client.post("/v1/router/backends/desk/drain")
        after = await scraped(r)
    assert during.value("turnout_requests_waiting", backend="desk") == 1
    assert during.value("turnout_requests_waiting", **{"backend": "desk", "class": "batch"}) == 1
    assert during.value("turnout_queue_refusals_total", backend="desk", reason="full") == 1
    assert after.value("turnout_requests_waiting", backend="desk") == 0
    assert after.value("turnout_queue_wait_seconds_count", **{"backend": "desk", "class": "batch"}) == 1
    assert after.value("turnout_queue_wait_seconds_count", **{"backend": "desk", "class": "interactive"}) == 1
    assert after.value("turnout_backend_drained", backend="desk") == 1


async def test_backends_are_shown_as_up_or_down(r):
    await take_down(r, "lab")
    seen = await now(r)
    assert seen.value("turnout_backend_up", backend="desk") == 1
    assert seen.value("turnout_backend_up", backend="lab") == 0


async def test_nothing_that_a_client_writes_becomes_a_label(r):
    for number in range(30):
        name = f"planted{number}"
        await r.client.post(CHAT, json=asked(name))
        await r.client.post(CHAT, json=asked(f"desk/{name}"), headers={"x-request-id": name})
        await r.client.post(f"/{name}", json={})
    seen = await scraped(r)
    assert "planted" not in seen.text
    assert seen.value("turnout_requests_total", backend="desk", model="other") == 30
    assert seen.labels("model") == {"none", "other"}
    assert seen.labels("backend") == {"none", "desk", "lab"}


async def test_every_spelling_of_a_model_is_one_label(r):
    for name in ("desk/llama3.2", "desk/llama3.2:latest", "desk/LLAMA3.2", "llama3.2", "both"):
        await r.client.post(CHAT, json=asked(name))
    seen = await scraped(r)
    assert seen.labels("model") == {"llama3.2"}
    assert seen.value("turnout_requests_total", **CHAT_ON_DESK) == 5


async def test_two_routers_in_one_process_count_apart(r, fake):
    async with running({"backends": backends({"desk": fake})}) as other:
        await streamed(other.client, "desk/llama3.2")
        assert (await scraped(other)).value("turnout_requests_total") == 1
    assert (await scraped(r)).value("turnout_requests_total") == 0


async def test_metrics_need_a_key_like_everything_else(fake):
    async with running({"backends": backends({"desk": fake}), "auth": {"api_keys": [KEY]}}) as r:
        refused = await r.client.get("/metrics")
        allowed = await r.client.get("/metrics", headers={"Authorization": f"Bearer {KEY}"})
    assert (refused.status_code, allowed.status_code) == (401, 200)
    assert KEY not in allowed.text


async def test_openmetrics_is_spoken_to_those_who_ask(r):
    await streamed(r.client, "both")
    response = await r.client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")

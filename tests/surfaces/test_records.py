"""Every request leaves one record, however it ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from router.canonical.events import UsageReported
from router.usage.record import FailedAttempt, RequestRecord
from tests.adapters.party import Party
from tests.fakes import FakeBackend, Faults, Scripted
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, calling, eventually, idle, streamed

pytestmark = pytest.mark.anyio

MODELS = {"ollama": "llama3.2", "openai": "fake-chat", "llama_cpp": "smollm2"}
EMBEDDERS = {"ollama": "nomic-embed-text", "openai": "fake-embed", "llama_cpp": "smollm2"}
KEY = "planted-caller-key"


@pytest.fixture(params=MODELS)
async def fake(request, anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour=request.param) as fake:
        yield fake


@pytest.fixture
async def second(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai", reply="I am second.") as second:
        yield second


@pytest.fixture
def records() -> list[RequestRecord]:
    return []


@asynccontextmanager
async def recorded(fake: FakeBackend, second: FakeBackend, records: list[RequestRecord], **config):
    """A router whose alias `both` leads to `fake`, then to `second`."""
    limits = {"first_token": 0.1, "idle": 0.05}
    settings = {
        "backends": backends({"desk": fake, "lab": second}, timeouts=limits),
        "models": alias("both", f"desk/{MODELS[fake.flavour]}", "lab/fake-chat")
        | alias("one", f"desk/{MODELS[fake.flavour]}"),
    }
    async with running(settings | config, sinks=[records.append]) as r:
        yield r


@pytest.fixture
async def r(fake, second, records) -> AsyncIterator[RunningRouter]:
    async with recorded(fake, second, records) as r:
        yield r


async def only(records: list[RequestRecord]) -> RequestRecord:
    await eventually(lambda: bool(records))
    assert len(records) == 1
    return records[0]


async def test_a_stream_is_recorded_with_its_tokens_and_times(r, fake, records):
    fake.faults = Faults(chunk_delay_s=0.005)
    answer = await streamed(r.client, "one", headers={"x-request-id": "mine-1"})
    record = await only(records)
    assert (record.id, record.operation, record.asked, record.stream) == ("mine-1", "chat", "one", True)
    assert (record.backend, record.model, record.reason) == ("desk", MODELS[fake.flavour], "alias one")
    assert (record.status, record.outcome, record.attempts, record.failed) == (200, "ok", 1, ())
    assert (record.usage.prompt, record.usage.completion) == (2, len(answer.text.split()))
    assert 0 < record.first_token_s < record.duration_s
    assert 0 < record.tokens_per_s < 1000


async def test_a_stream_that_nobody_counted_is_recorded_with_an_estimate_after_its_end(r, fake, records):
    fake.counts = False
    answer = await streamed(r.client, "one")
    assert answer.usages == []
    assert (await only(records)).usage == UsageReported(9, 5, estimated=True)


async def test_what_a_client_did_not_wait_for_is_estimated(fake, second, records):
    fake.faults = Faults(stall_after=4)
    fakes = backends({"desk": fake, "lab": second})
    async with recorded(fake, second, records, backends=fakes) as r, calling(r, body=asked("one", stream=True)) as left:
        await left.until(b"from")
        left.leave()
        usage = (await only(records)).usage
    assert usage is not None
    assert usage.estimated
    assert (usage.prompt, usage.completion >= 3) == (9, True)


async def test_a_whole_answer_is_recorded_with_its_tokens(r, records):
    await r.client.post(CHAT, json=asked("one"))
    record = await only(records)
    assert (record.stream, record.status, record.outcome, record.first_token_s) == (False, 200, "ok", None)
    assert (record.usage.prompt, record.usage.completion) == (2, 4)


async def test_an_embedding_is_recorded_with_its_tokens(r, fake, records):
    body = {"model": f"desk/{EMBEDDERS[fake.flavour]}", "input": ["one two", "three"]}
    await r.client.post("/v1/embeddings", json=body)
    record = await only(records)
    assert (record.operation, record.backend, record.status, record.outcome) == ("embeddings", "desk", 200, "ok")
    assert (record.usage.prompt, record.usage.completion or 0) == (3, 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_before_content_is_recorded_with_its_status_and_code(r, fake, records, stream):
    fake.faults = Faults(status=429)
    await r.client.post(CHAT, json=asked("one", stream=stream))
    record = await only(records)
    assert (record.status, record.outcome, record.backend) == (429, "rate_limit_exceeded", "desk")
    assert record.failed == (FailedAttempt("desk", MODELS[fake.flavour], "rate_limit_exceeded"),)
    assert record.usage is None


@pytest.mark.parametrize("flavour", ["claude", "openai", "ollama"])
@pytest.mark.parametrize("broken", [False, True])
async def test_what_the_backend_called_a_failed_request_is_recorded(anyio_backend, records, flavour, broken):
    model = {"claude": "claude-sonnet-5"}.get(flavour) or MODELS[flavour]
    async with FakeBackend(flavour=flavour) as fake:
        party = Party(flavour, fake, None)
        config = {"backends": backends({"desk": fake}, api_key="planted-key")}
        async with running(config, sinks=[records.append]) as r:
            for told, kept in (("req_0.1-a", "req_0.1-a"), ("two words", ""), ("planted-key", "[redacted]")):
                headers, said = {"request-id": told}, [party.chunk(content="Hi")] if broken else []
                fake.script(party.chat_path, Scripted(status=200 if broken else 500, lines=said, headers=headers))
                await streamed(r.client, f"desk/{model}")
                await eventually(lambda: bool(records) and idle(r))
                assert [failed.upstream_id for failed in records.pop().failed] == [kept]


async def test_a_fallback_is_recorded_with_what_failed_before(r, fake, records):
    fake.faults = Faults(status=500)
    assert (await streamed(r.client, "both")).text == "I am second."
    record = await only(records)
    assert (record.outcome, record.backend, record.attempts) == ("ok", "lab", 2)
    assert record.failed == (FailedAttempt("desk", MODELS[fake.flavour], "backend_error"),)


async def test_a_broken_stream_is_recorded_as_broken_although_its_status_was_200(r, fake, records):
    fake.faults = Faults(drop_after=3)
    await streamed(r.client, "both")
    record = await only(records)
    assert (record.status, record.outcome, record.attempts) == (200, "stream_broken", 1)
    assert record.first_token_s is not None
    assert record.tokens_per_s is None


@pytest.mark.parametrize("stall", [Faults(hang_before_headers=True), Faults(stall_after=3)])
async def test_a_client_who_leaves_is_recorded_as_gone(fake, second, records, stall):
    fake.faults = stall
    fakes = backends({"desk": fake, "lab": second})
    async with recorded(fake, second, records, backends=fakes) as r, calling(r, body=asked("one", stream=True)) as left:
        await fake.until(lambda: fake.in_flight == 1)
        if stall.stall_after:
            await left.until(b"Hello")
        left.leave()
        await eventually(lambda: idle(r))
        record = await only(records)
    assert (record.outcome, record.backend, record.stream) == ("client_left", "desk", True)
    assert record.status == (200 if stall.stall_after else 0)


async def test_a_client_who_leaves_an_embedding_is_recorded_as_gone(fake, second, records):
    fake.faults = Faults(hang_before_headers=True)
    body = {"model": f"desk/{EMBEDDERS[fake.flavour]}", "input": "text"}
    fakes = backends({"desk": fake, "lab": second})
    async with recorded(fake, second, records, backends=fakes) as r, calling(r, "/v1/embeddings", body) as left:
        await fake.until(lambda: fake.in_flight == 1)
        left.leave()
        record = await only(records)
    assert (record.operation, record.outcome, record.backend) == ("embeddings", "client_left", "desk")


async def test_a_client_who_leaves_while_sending_is_recorded_as_gone(r, records):
    async with calling(r) as caller:
        await caller.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: r\r\nContent-Length: 100\r\n\r\n{")
        caller.leave()
        record = await only(records)
    assert (record.operation, record.outcome, record.asked) == ("chat", "client_left", "")


async def test_what_cannot_be_read_is_recorded_too(r, records):
    await r.client.post(CHAT, content=b"{")
    record = await only(records)
    assert (record.operation, record.status, record.outcome) == ("chat", 400, "invalid_json")


async def test_a_model_nobody_knows_is_recorded_as_it_was_asked_for(r, records):
    await r.client.post(CHAT, json=asked("nobody"))
    record = await only(records)
    assert (record.asked, record.status, record.outcome) == ("nobody", 404, "model_not_found")
    assert (record.backend, record.attempts) == ("", 0)


async def test_the_code_of_an_error_is_ours_and_not_the_backends(r, fake, records):
    fake.faults = Faults(status=422, body={"error": {"message": "no", "code": "my prompt was here"}})
    response = await r.client.post(CHAT, json=asked("one"))
    record = await only(records)
    assert response.status_code == record.status == 422
    assert record.outcome == "invalid_request"


async def test_callers_are_told_apart_without_keeping_their_keys(fake, second, records):
    auth = {"api_keys": [KEY, f"{KEY}-2"]}
    async with recorded(fake, second, records, auth=auth) as r:
        for key in (KEY, f"{KEY}-2", "wrong"):
            await r.client.post(CHAT, json=asked("one"), headers={"Authorization": f"Bearer {key}"})
        await eventually(lambda: len(records) == 3)
    first, other, nobody = records
    assert len({first.key_id, other.key_id, nobody.key_id}) == 3
    assert (nobody.status, nobody.outcome, nobody.key_id) == (401, "invalid_api_key", "")
    assert KEY not in repr(records)


async def test_looking_around_leaves_no_record(r, records):
    for path in ("/health", "/health/live", "/v1/models", "/metrics"):
        assert (await r.client.get(path)).status_code == 200
    await streamed(r.client, "one")
    assert (await only(records)).operation == "chat"


async def test_a_sink_that_fails_spoils_neither_the_answer_nor_the_others(fake, second, records, caplog):
    def failing(record: RequestRecord) -> None:
        raise ValueError(f"planted {record.asked}")

    config = {"backends": backends({"desk": fake})}
    async with running(config, sinks=[failing, records.append]) as r:
        answer = await streamed(r.client, f"desk/{MODELS[fake.flavour]}")
        await only(records)
    assert answer.done
    assert "a record was lost: ValueError" in caplog.text
    assert "planted" not in caplog.text


@pytest.mark.parametrize("on", [True, False])
async def test_a_request_is_one_line_in_the_log_unless_switched_off(fake, caplog, on):
    caplog.set_level("INFO", "router.requests")
    async with running({"server": {"log_requests": on}, "backends": backends({"desk": fake})}) as r:
        await streamed(r.client, f"desk/{MODELS[fake.flavour]}")
        await eventually(lambda: idle(r))
    lines = [record for record in caplog.records if record.name == "router.requests"]
    assert [line.levelname for line in lines] == ["INFO"] * on

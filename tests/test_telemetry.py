"""Traces: a span for every request, its attempts as children, the client's trace carried on."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from router.serving import tracing
from router.settings import Settings
from router.telemetry import Telemetry
from tests.fakes import FakeBackend, Faults, Scripted
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, calling, eventually, idle, streamed

pytestmark = pytest.mark.anyio

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
SECRET = "planted prompt about my health"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def fake(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend() as fake:
        yield fake


@pytest.fixture
async def second(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai") as second:
        yield second


@asynccontextmanager
async def traced(spans: InMemorySpanExporter, **config) -> AsyncIterator[RunningRouter]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    telemetry = Telemetry(provider)
    async with running(config, telemetry=telemetry) as r:
        yield r
    telemetry.close()


@pytest.fixture
async def r(fake, second, spans) -> AsyncIterator[RunningRouter]:
    models = alias("both", "desk/llama3.2", "lab/fake-chat")
    async with traced(spans, backends=backends({"desk": fake, "lab": second}), models=models) as r:
        yield r


async def finished(spans: InMemorySpanExporter, count: int) -> tuple[ReadableSpan, list[ReadableSpan]]:
    """The request's span and those of its attempts, in order."""
    await eventually(lambda: len(spans.get_finished_spans()) >= count)
    *attempts, request = spans.get_finished_spans()
    assert len(attempts) == count - 1
    assert all(span.parent.span_id == request.context.span_id for span in attempts)
    assert request.kind is SpanKind.SERVER
    assert {span.kind for span in attempts} <= {SpanKind.CLIENT}
    return request, attempts


async def test_a_request_is_a_span_and_its_attempt_a_child(r, spans):
    await streamed(r.client, "both", headers={"x-request-id": "mine-1"})
    request, (attempt,) = await finished(spans, 2)
    said = dict(request.attributes)
    assert request.name == "chat both"
    assert said.pop("gen_ai.response.time_to_first_chunk") > 0
    assert said == {
        "http.request.method": "POST", "http.response.status_code": 200,
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "both", "gen_ai.request.stream": True,
        "gen_ai.response.model": "llama3.2", "gen_ai.usage.input_tokens": 2, "gen_ai.usage.output_tokens": 4,
        "turnout.backend": "desk", "turnout.attempts": 1, "turnout.reason": "alias both",
        "turnout.request_id": "mine-1",
    }  # fmt: skip
    assert attempt.name == "chat llama3.2"
    assert dict(attempt.attributes) == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "ollama", "gen_ai.request.model": "llama3.2",
        "gen_ai.usage.input_tokens": 2, "gen_ai.usage.output_tokens": 4,
        "turnout.backend": "desk", "turnout.attempt": 1,
    }  # fmt: skip
    assert request.status.status_code is StatusCode.UNSET


async def test_the_clients_trace_goes_on_to_the_backend(r, fake, spans):
    await streamed(r.client, "both", headers={"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "a=b"})
    request, (attempt,) = await finished(spans, 2)
    assert f"{request.context.trace_id:032x}" == f"{attempt.context.trace_id:032x}" == TRACE
    assert f"{request.parent.span_id:016x}" == CALLER
    sent = fake.requests[0].headers
    assert sent["traceparent"] == f"00-{TRACE}-{attempt.context.span_id:016x}-01"
    assert sent["tracestate"] == "a=b"


async def test_the_trace_goes_on_to_claude_as_well(anyio_backend, spans):
    header = f"00-{TRACE}-{CALLER}-01"
    async with FakeBackend(flavour="claude") as claude, traced(spans, backends=backends({"claude": claude})) as r:
        for stream in (True, False):
            body = asked("claude/claude-sonnet-5", stream=stream)
            await r.client.post(CHAT, json=body, headers={"traceparent": header, "tracestate": "vendor=x"})
        await eventually(lambda: len(spans.get_finished_spans()) == 4)
    attempts = [span for span in spans.get_finished_spans() if span.kind is SpanKind.CLIENT]
    sent = [request.headers["traceparent"].split("-") for request in claude.requests]
    assert [parts[1] for parts in sent] == [TRACE, TRACE]
    assert [int(parts[2], 16) for parts in sent] == [span.context.span_id for span in attempts]
    assert {request.headers["tracestate"] for request in claude.requests} == {"vendor=x"}


async def test_embeddings_are_traced_too(r, fake, spans):
    await r.client.post("/v1/embeddings", json={"model": "nomic-embed-text", "input": "one two"})
    request, (attempt,) = await finished(spans, 2)
    assert (request.name, attempt.name) == ("embeddings nomic-embed-text", "embeddings nomic-embed-text:latest")
    assert request.attributes["gen_ai.usage.input_tokens"] == 2
    assert "traceparent" in fake.requests[0].headers


async def test_every_attempt_is_a_child_and_those_that_fail_say_why(r, fake, spans):
    fake.faults = Faults(status=500)
    await r.client.post(CHAT, json=asked("both"))
    request, (failed, served) = await finished(spans, 3)
    assert failed.attributes["error.type"] == "backend_error"
    assert failed.status.status_code is StatusCode.ERROR
    assert (served.attributes["turnout.backend"], served.attributes["turnout.attempt"]) == ("lab", 2)
    assert request.attributes["turnout.attempts"] == 2
    assert request.status.status_code is StatusCode.UNSET


async def test_a_broken_stream_is_an_error(r, fake, spans):
    fake.faults = Faults(drop_after=3)
    await streamed(r.client, "both")
    request, (attempt,) = await finished(spans, 2)
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["error.type"] == attempt.attributes["error.type"] == "stream_broken"
    assert request.status.status_code is StatusCode.ERROR


async def test_a_client_who_leaves_is_no_error_of_ours(r, fake, spans):
    fake.faults = Faults(stall_after=2)
    async with calling(r, body=asked("both", stream=True)) as caller:
        await caller.until(b"Hello")
        caller.leave()
        await eventually(lambda: idle(r))
        request, (attempt,) = await finished(spans, 2)
    assert request.attributes["error.type"] == "client_left"
    assert attempt.attributes["error.type"] == "cancelled"
    assert {request.status.status_code, attempt.status.status_code} == {StatusCode.UNSET}


async def test_what_is_refused_is_traced_without_an_attempt(r, spans):
    await r.client.post(CHAT, content=b"{")
    request, _ = await finished(spans, 1)
    assert (request.name, request.attributes["error.type"]) == ("chat", "invalid_json")
    assert request.status.status_code is StatusCode.UNSET


async def test_looking_around_is_not_traced(r, spans):
    await r.client.get("/health")
    await r.client.get("/v1/models")
    await r.looked()
    assert spans.get_finished_spans() == ()


async def test_no_content_becomes_an_attribute_whatever_fails(r, fake, spans):
    fake.reply = SECRET
    fake.faults = Faults(status=400, body={"error": SECRET})
    await r.client.post(CHAT, json={"model": "both", "messages": [{"role": "user", "content": SECRET}]})
    await finished(spans, 2)
    told = "".join(span.to_json() for span in spans.get_finished_spans())
    assert SECRET not in told
    assert "exception" not in told


async def test_requests_side_by_side_keep_their_traces_apart(r, fake, spans):
    fake.faults = Faults(chunk_delay_s=0.002)
    traces = [f"{number:032x}" for number in range(1, 11)]
    await asyncio.gather(
        *(streamed(r.client, "both", headers={"traceparent": f"00-{trace}-{CALLER}-01"}) for trace in traces)
    )
    await eventually(lambda: len(spans.get_finished_spans()) == 20)
    seen = [request.headers["traceparent"].split("-")[1] for request in fake.requests]
    assert sorted(seen) == traces


async def test_without_tracing_nothing_is_sent_along(fake):
    async with running({"backends": backends({"desk": fake})}) as r:
        await streamed(r.client, "desk/llama3.2", headers={"traceparent": f"00-{TRACE}-{CALLER}-01"})
    assert "traceparent" not in fake.requests[0].headers


def test_opentelemetry_is_not_imported_while_it_is_off():
    code = "import router.cli, router.serving, router.app, sys; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


@pytest.mark.parametrize(
    ("server", "environ", "is_on"),
    [
        ({}, {}, False),
        ({"otel": True}, {}, True),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, True),
    ],
)
async def test_it_is_on_by_setting_or_by_endpoint(server, environ, is_on):
    async with tracing(Settings.model_validate({"server": server}), environ) as telemetry:
        assert (telemetry is not None) is is_on


async def test_asking_for_it_without_the_extra_is_one_warning(monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    monkeypatch.setitem(sys.modules, "router.telemetry", None)
    async with tracing(Settings.model_validate({"server": {"otel": True}}), {}) as telemetry:
        assert telemetry is None
    assert "pip install 'turnout[otel]'" in caplog.text


async def test_spans_leave_for_the_endpoint_at_the_end(fake, monkeypatch):
    async with FakeBackend(flavour="openai") as collector:
        collector.script("/v1/traces", Scripted(content_type="application/x-protobuf", body=b""))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        async with (
            tracing(Settings(), os.environ) as telemetry,
            running({"backends": backends({"desk": fake})}, telemetry=telemetry) as r,
        ):
            await streamed(r.client, "desk/llama3.2")
            await eventually(lambda: idle(r))
    (sent,) = collector.requests
    assert sent.path == "/v1/traces"
    assert b"turnout" in sent.body
    assert b"gen_ai.usage.output_tokens" in sent.body

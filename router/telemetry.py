"""OpenTelemetry (extra `otel`): a span for every request, its attempts as children. Imported only when it is on.

Attribute names are those of the GenAI semantic conventions, which are still in development; what they have no name for
is under `turnout.`. No content and no key becomes an attribute, and exceptions are kept by their code alone.
"""

import asyncio
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

from litestar.types import ASGIApp, Receive, Scope, Send
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from router import __version__
from router.canonical import outgoing
from router.canonical.events import UsageReported
from router.errors import RouterError
from router.relay.progress import Progress
from router.usage.record import CANCELLED, CLIENT_LEFT, OK, RequestRecord

MAX_NAME_CHARS = 200
_CONTEXT_HEADERS = {b"traceparent": "traceparent", b"tracestate": "tracestate"}


class Telemetry:
    """Makes spans. Owns the provider: `close` sends what is left."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("turnout", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """The same app with a span around every POST, within the trace that the client names, if it names one."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["method"] != "POST":
                await app(scope, receive, send)
                return
            carrier = {
                _CONTEXT_HEADERS[name]: value.decode("latin-1")
                for name, value in scope["headers"]
                if name in _CONTEXT_HEADERS
            }
            parent = self._propagator.extract(carrier)
            with self._tracer.start_as_current_span(
                "POST", context=parent, kind=SpanKind.SERVER, record_exception=False, set_status_on_exception=False
            ):
                await app(scope, receive, send)

        return traced

    def record(self, record: RequestRecord) -> None:
        """A sink of records: says in the request's span what came of it."""
        span = get_current_span()
        if not span.is_recording():
            return
        asked = record.asked[:MAX_NAME_CHARS]
        if record.operation:
            span.update_name(f"{record.operation} {asked}".rstrip())
        _describe(
            span,
            {
                "http.request.method": "POST",
                "http.response.status_code": record.status or None,
                "gen_ai.operation.name": record.operation,
                "gen_ai.request.model": asked,
                "gen_ai.request.stream": record.stream,
                "gen_ai.response.model": record.model[:MAX_NAME_CHARS],
                "gen_ai.response.time_to_first_chunk": record.first_token_s,
                "turnout.backend": record.backend,
                "turnout.attempts": record.attempts,
                "turnout.reason": record.reason,
                "turnout.request_id": record.id,
                "error.type": None if record.outcome == OK else record.outcome,
            },
        )
        _count(span, record.usage)
        is_broken = record.status < 400 and record.outcome not in {OK, CLIENT_LEFT, CANCELLED}
        if record.status >= 500 or is_broken:
            span.set_status(Status(StatusCode.ERROR, record.outcome))

    @contextmanager
    def attempt(self, progress: Progress, *, kind: str) -> Generator[None]:
        """A span around one attempt; requests to the backend carry its context."""
        model = progress.model[:MAX_NAME_CHARS]
        with self._tracer.start_as_current_span(
            f"{progress.operation} {model}", kind=SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
        ) as span:
            carrier: dict[str, str] = {}
            self._propagator.inject(carrier)
            token = outgoing.headers.set(carrier)
            try:
                yield
            except RouterError as error:
                span.set_status(Status(StatusCode.ERROR, type(error).code))
                _describe(span, {"error.type": type(error).code})
                raise
            except asyncio.CancelledError:
                _describe(span, {"error.type": CANCELLED})
                raise
            finally:
                outgoing.headers.reset(token)
                self._attempted(span, progress, kind)

    def _attempted(self, span: Span, progress: Progress, kind: str) -> None:
        _describe(
            span,
            {
                "gen_ai.operation.name": progress.operation,
                "gen_ai.provider.name": kind,
                "gen_ai.request.model": progress.model[:MAX_NAME_CHARS],
                "turnout.backend": progress.backend,
                "turnout.attempt": progress.attempts,
            },
        )
        _count(span, progress.meter.usage if progress.meter is not None else None)

    def close(self) -> None:
        """Sends what is left and stops. Waits for the network: call it off the event loop."""
        self._provider.shutdown()


def exporting(environ: Mapping[str, str]) -> Telemetry:
    """Telemetry that goes where OTEL_EXPORTER_OTLP_ENDPOINT and its relatives say, by default to this machine."""
    is_named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if is_named else {"service.name": "turnout"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Telemetry(provider)


def _count(span: Span, usage: UsageReported | None) -> None:
    if usage is None:
        return
    _describe(
        span,
        {
            "gen_ai.usage.input_tokens": usage.prompt,
            "gen_ai.usage.output_tokens": usage.completion,
            "gen_ai.usage.cache_read.input_tokens": usage.cached,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
        },
    )


def _describe(span: Span, attributes: Mapping[str, AttributeValue | None]) -> None:
    span.set_attributes(dict(_known(attributes)))


def _known(attributes: Mapping[str, AttributeValue | None]) -> Iterator[tuple[str, AttributeValue]]:
    for name, value in attributes.items():
        if value is not None and value != "":
            yield name, value

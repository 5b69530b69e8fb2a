"""Answers a test writes out itself, frame by frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.answer import (
    JSON,
    NDJSON,
    SSE,
    Answer,
    named_sse_frame,
    ndjson_frame,
    sse_frame,
    to_go_json,
    to_json,
)

_NEVER_STREAMS = ("/api/embed", "/api/embeddings", "/v1/embeddings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """One of `lines`, `body`, `chunks`; none of them is an empty body.

    lines: NDJSON objects under /api, SSE payloads under /v1 (at /v1/messages named); a str goes out as written.
    body: sent as it is, with a length. chunks: network writes, each flushed on its own.
    """

    status: int = 200
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    lines: Sequence[Mapping[str, Any] | str] | None = None
    body: bytes | None = None
    chunks: Sequence[bytes] | None = None
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.lines, self.body, self.chunks)) > 1:
            raise ValueError("give one of lines, body and chunks")


class ScriptBook:
    """Per path a queue of answers; the last one stays."""

    def __init__(self) -> None:
        self._answers: dict[str, list[Scripted]] = {}

    def put(self, path: str, answers: Sequence[Scripted]) -> None:
        if not answers:
            raise ValueError("a script needs at least one answer")
        self._answers[path] = list(answers)

    def take(self, path: str) -> Scripted | None:
        queue = self._answers.get(path)
        if queue is None:
            return None
        return queue.pop(0) if len(queue) > 1 else queue[0]

    def clear(self) -> None:
        self._answers.clear()


def render(scripted: Scripted, path: str, *, stream: bool) -> Answer:
    """A single line goes out as one JSON body when nobody asked for a stream or it is an error."""
    native = path.startswith("/api/")
    streams = stream and scripted.status < 400 and path not in _NEVER_STREAMS
    if scripted.chunks is not None:
        default = (NDJSON if native else SSE) if streams else JSON
        return _answer(scripted, scripted.chunks, default_type=default, streamed=True)
    if scripted.lines is None:
        return _answer(scripted, (scripted.body or b"",), default_type=JSON, streamed=False)
    if len(scripted.lines) == 1 and not streams:
        line = scripted.lines[0]
        encode = to_go_json if native else to_json
        text = line if isinstance(line, str) else encode(line)
        return _answer(scripted, (text.encode(),), default_type=JSON, streamed=False)
    frame = ndjson_frame if native else named_sse_frame if path == "/v1/messages" else sse_frame
    frames = tuple(frame(line) for line in scripted.lines)
    return _answer(scripted, frames, default_type=NDJSON if native else SSE, streamed=True)


def _answer(scripted: Scripted, frames: Sequence[bytes], *, default_type: str, streamed: bool) -> Answer:
    return Answer(
        frames,
        status=scripted.status,
        content_type=scripted.content_type or default_type,
        headers=scripted.headers,
        streamed=streamed,
        ending=1 if streamed else 0,
        delay_s=scripted.delay_s,
    )

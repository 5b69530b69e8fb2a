"""The requests the bench sends, as bytes on the wire, and what a right answer to each looks like."""

import re
from functools import cache
from http import HTTPStatus

import msgspec

from bench.answers import MARK, MODEL
from bench.budgets import OLLAMA, OPENAI

API_KEY = "bench-key"
ROUTER_MODELS = {OPENAI: "bench-openai", OLLAMA: "bench-ollama"}
REQUEST_BYTES = 350
MARKED = re.compile(re.escape(MARK) + rb"(\d{4})")


class Ask(msgspec.Struct, frozen=True):
    """One prepared request; `frames` is 0 when the answer is not a stream."""

    port: int
    raw: bytes
    frames: int = 0
    events: int | None = None  # exact number of SSE events, where a frame may be neither added nor dropped
    ending: bytes = b""


def chat(port: int, path: str, *, native: bool) -> Ask:
    """W1's request. `native` is the backend's own format, for the backend itself and the floor."""
    return Ask(port, _request(port, path, native=native))


def stream(port: int, path: str, *, native: bool, frames: int, delay_ms: int) -> Ask:
    """W2's and W3's request, without `include_usage`, as most clients send it."""
    raw = _request(port, path, native=native, stream=(frames, delay_ms))
    if native and path == OLLAMA:
        return Ask(port, raw, frames=frames, ending=b'"done":true')
    exact = frames + 2 if path == OPENAI else None
    return Ask(port, raw, frames=frames, events=exact, ending=b"data: [DONE]")


def _request(port: int, path: str, *, native: bool, stream: tuple[int, int] | None = None) -> bytes:
    ollama = native and path == OLLAMA
    body: dict[str, object] = {"model": MODEL if native else ROUTER_MODELS[path], "stream": stream is not None}
    if stream:
        frames, delay_ms = stream
        limits = {"seed": delay_ms, ("num_predict" if ollama else "max_tokens"): frames}
        body |= {"options": limits} if ollama else limits
    body["messages"] = [
        {"role": "system", "content": "You are a helpful assistant. Answer in plain words."},
        {"role": "user", "content": ""},
    ]
    filler = "Tell me how a railway switch sends a train onto one track or another. " * 5
    body["messages"][1]["content"] = filler[: REQUEST_BYTES - len(msgspec.json.encode(body))]  # type: ignore[index]
    encoded = msgspec.json.encode(body)
    head = (
        f"POST {'/api/chat' if ollama else '/v1/chat/completions'} HTTP/1.1\r\n"
        f"host: 127.0.0.1:{port}\r\nauthorization: Bearer {API_KEY}\r\naccept: */*\r\n"
        f"content-type: application/json\r\ncontent-length: {len(encoded)}\r\n\r\n"
    )
    return head.encode() + encoded


@cache
def _numbers(frames: int) -> tuple[bytes, ...]:
    return tuple(b"%04d" % index for index in range(frames))


def fault(ask: Ask, status: int, body: bytes) -> str | None:
    """Say what is wrong with an answer, or None."""
    if status != HTTPStatus.OK:
        return f"status {status}"
    if not ask.frames:
        return None if b"The quick brown fox" in body else "wrong body"
    if tuple(MARKED.findall(body)) != _numbers(ask.frames):
        return "frames not 1:1"
    if ask.ending not in body[-600:]:
        return "no end marker"
    if ask.events is not None and body.count(b"data: ") != ask.events:
        return "events added or dropped"
    return None

"""What a backend could send: valid answers of its format, damaged in their JSON, their frames and their bytes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.adapters.party import Party
from tests.fakes import FakeBackend, Scripted
from tests.fakes.persona import Flavour
from tests.fuzz.bodies import damaged, mutate

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
TIMINGS = {"prompt_n": 3, "predicted_n": 2, "cache_n": 0}
NATIVE_COUNTS = {"prompt_eval_count": 3, "eval_count": 2}
CLAUDE_COUNTS = {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 1, "service_tier": "standard"}
TYPES = ("application/json", "text/event-stream", "application/x-ndjson", "text/plain", "text/html; charset=latin-1")
STATUSES = (201, 204, 300, 304, 400, 401, 403, 404, 408, 413, 422, 429, 500, 501, 503, 504, 529)
ODD_FRAMES = (
    b": a comment\n\n", b"\n", b"\n\n\n", b"event: ping\n\n", b"data:\n\n", b"data: \n\n", b"data: null\n\n",
    b"data: 5\n\n", b"data: []\n\n", b'data: "x"\n\n', b"data: {}\n\n", b'data: {"choices":[]}\n\n',
    b'data: {"choices":null}\n\n', b'data: {"choices":5}\n\n', b'data: {"error":null}\n\n', b'data: {"error":{}}\n\n',
    b'data: {"error":"x"}\n\n',
    b'data: {"error":{"message":5,"code":[]}}\n\n', b'data: {"object":"error","message":"x"}\n\n', b"data: [DONE]\n\n",
    b"id: 1\nretry: 5\ndata: {}\n\n", b'data: {"choices":\ndata: []}\n\n', b"{}\n", b"null\n", b"[]\n", b"5\n",
    b'{"done":true}\n', b'{"error":"x"}\n', b'{"error":{"message":"x"}}\n', b"\xff\xfe\n\n", b"\x00" * 9, b"<html>\n\n",
    b"event: error\ndata: {}\n\n", b'event: message_stop\ndata: {"type":"message_stop"}\n\n', b"\r\n\r\n",
    b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n', b'data: {"x":"\xff","choices":[]}\n\n',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shot:
    """One answer of a backend, and what the client had asked for."""

    path: str
    body: bytes
    answer: Scripted
    stream: bool


@st.composite
def shots(draw: st.DrawFn, kind: Flavour) -> Shot:
    random = draw(st.randoms(use_true_random=True))
    party = Party(kind, FakeBackend(flavour=kind), None)  # pyright: ignore[reportArgumentType]
    stream, is_chat = random.random() < 0.7, random.random() < 0.85
    if not is_chat:
        base, path = [_vectors(party)], "/v1/embeddings"
    else:
        base, path = _streamed(party, random) if stream else [_whole(party, random)], "/v1/chat/completions"
    frames = list(base)
    for _ in range(draw(st.integers(0, 4))):
        _harm(frames, random)
    data = b"".join(frames)
    if random.random() < 0.1:
        data = random.randbytes(random.randrange(200))
    asked = {"messages": [{"role": "user", "content": "hi"}], "stream": stream} if is_chat else {"input": ["a", "b"]}
    body = json.dumps({"model": "m", **asked}).encode()
    return Shot(path, body, _scripted(data, random, stream=stream and is_chat), stream and is_chat)


def upstream_paths(kind: Flavour) -> Sequence[str]:
    """Where a backend of the kind is asked."""
    party = Party(kind, FakeBackend(flavour=kind), None)  # pyright: ignore[reportArgumentType]
    return (party.chat_path, "/api/embed" if party.is_native else "/v1/embeddings")


def _scripted(data: bytes, random: Random, *, stream: bool) -> Scripted:
    """The bytes in pieces of any size."""
    status = (
        200 if random.random() < 0.85 else random.choice((201, 204, 300, 304, 400, 401, 404, 422, 429, 500, 503, 529))
    )
    type_ = random.choice(TYPES) if random.random() < 0.3 else None
    pieces: list[bytes] = []
    while data and status != 204:
        size = random.choice((1, 2, 7, 40, 1000)) if len(pieces) < 60 else len(data)
        pieces.append(data[:size])
        data = data[size:]
    headers = {"Retry-After": random.choice(("7", "-1", "soon", "1e9", "nan"))} if random.random() < 0.1 else {}
    default = type_ or ("text/event-stream" if stream else "application/json")
    return Scripted(status=status, chunks=pieces, content_type=default, headers=headers)


def _harm(frames: list[bytes], random: Random) -> None:
    """One thing that goes wrong."""
    if not frames:
        frames.append(random.choice(ODD_FRAMES))
        return
    at = random.randrange(len(frames))
    match random.randrange(8):
        case 0 | 1 | 2:
            frames[at] = _mutated(frames[at], random)
        case 3:
            frames[at] = damaged(frames[at], random)
        case 4:
            del frames[at]
        case 5:
            frames.insert(at, random.choice(frames))
        case 6:
            frames.insert(at, random.choice(ODD_FRAMES))
        case _:
            frames[at] = frames[at].replace(b"\n", b"\r\n")


def _mutated(frame: bytes, random: Random) -> bytes:
    """The frame with its JSON changed."""
    head, brace, rest = frame.partition(b"{")
    try:
        root = [json.loads(brace + rest)]
    except ValueError:
        return frame
    mutate(root, random)
    tail = rest[len(rest.rstrip(b"\n")) :]
    return head + b"".join(json.dumps(value).encode() for value in root) + tail


def _streamed(party: Party, random: Random) -> list[bytes]:
    """The frames of a stream that says something, calls something, and counts."""
    said: list[Any] = [party.chunk(content=word) for word in ("Hello", " you", ".")]
    if random.random() < 0.4:
        said.append(party.called("f", "g"))
    if random.random() < 0.2:
        said.insert(random.randrange(len(said)), party.failed("out of memory"))
    end = party.end()
    if party.kind == "claude":
        said.insert(0, {"type": "message_start", "message": {"model": "m", "usage": CLAUDE_COUNTS}})
        end[0] = {**end[0], "usage": CLAUDE_COUNTS}
    elif not party.is_native:
        counted = {"id": "c", "model": "m", "choices": [], "usage": USAGE}
        end.insert(1, counted if random.random() < 0.5 else {**counted, "timings": TIMINGS})
    else:
        end[0] = {**end[0], **NATIVE_COUNTS}
    return [_framed(party, frame) for frame in (*said, *end)]


def _framed(party: Party, frame: Any) -> bytes:
    if isinstance(frame, str) and frame.startswith("event:"):
        return frame.encode()
    text = frame if isinstance(frame, str) else json.dumps(frame)
    if party.kind == "claude":
        return f"event: {json.loads(text)['type']}\ndata: {text}\n\n".encode()
    return f"{text}\n".encode() if party.is_native else f"data: {text}\n\n".encode()


def _whole(party: Party, random: Random) -> bytes:
    body: dict[str, Any] = json.loads(party.whole("Hello you."))
    counts = CLAUDE_COUNTS if party.kind == "claude" else USAGE
    body.update(NATIVE_COUNTS if party.is_native else {"usage": counts})
    if not party.is_native and party.kind != "claude" and random.random() < 0.5:
        call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        body["choices"][0]["message"]["tool_calls"] = [call]
    return json.dumps(body).encode()


def _vectors(party: Party) -> bytes:
    if party.is_native:
        return json.dumps({"model": "m", "embeddings": [[0.5, 1], [0.25, -1]], "prompt_eval_count": 2}).encode()
    data = [{"object": "embedding", "index": at, "embedding": [0.5, 1]} for at in range(2)]
    return json.dumps({"object": "list", "data": data, "model": "m", "usage": USAGE}).encode()

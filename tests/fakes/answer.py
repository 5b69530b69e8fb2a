"""What the fake is about to send, and how payloads become the bytes of each format."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
TEXT = "text/plain; charset=utf-8"

_GO_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class Finale(Enum):
    """What follows the last frame."""

    END = "end"
    STALL = "stall"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Answer:
    """`ending` counts the frames at the tail that only mark the end: finish, usage, done."""

    frames: Sequence[bytes]
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    streamed: bool = False
    ending: int = 0
    delay_s: float = 0.0
    finale: Finale = Finale.END


def to_json(payload: object) -> str:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def to_go_json(payload: object) -> str:
    """As Go's encoder writes it, which escapes what could close a script tag."""
    return to_json(payload).translate(_GO_ESCAPES)


def ndjson_frame(payload: object) -> bytes:
    text = payload if isinstance(payload, str) else to_go_json(payload)
    return text.encode() + b"\n"


def sse_frame(payload: object) -> bytes:
    text = payload if isinstance(payload, str) else to_json(payload)
    return b"data: " + text.encode() + b"\n\n"


def named_sse_frame(payload: object) -> bytes:
    """As Anthropic writes an event: its type once more as its name. A text goes out as written."""
    if isinstance(payload, str):
        return payload.encode()
    kind = payload.get("type", "message") if isinstance(payload, Mapping) else "message"
    return f"event: {kind}\n".encode() + sse_frame(payload)


def whole(payload: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer((to_json(payload).encode(),), status=status, headers=headers or {})


def go_whole(payload: object) -> Answer:
    return Answer((to_go_json(payload).encode(),))


def ndjson(payloads: Sequence[object], *, ending: int = 0) -> Answer:
    frames = tuple(ndjson_frame(p) for p in payloads)
    return Answer(frames, content_type=NDJSON, streamed=True, ending=ending)


def sse(payloads: Sequence[object], *, ending: int = 0) -> Answer:
    frames = tuple(sse_frame(p) for p in payloads)
    return Answer(frames, content_type=SSE, streamed=True, ending=ending)


def named_sse(payloads: Sequence[object], *, ending: int = 0) -> Answer:
    frames = tuple(named_sse_frame(p) for p in payloads)
    return Answer(frames, content_type=SSE, streamed=True, ending=ending)


def text(body: str, *, status: int = 200) -> Answer:
    return Answer((body.encode(),), status=status, content_type=TEXT)

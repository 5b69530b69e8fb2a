"""What the dialect tests share: streams cut anywhere, and events as a client would fold them."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import strategies as st

from router.canonical.events import Event, Frame
from router.dialects import Decoder

AWKWARD = '\u0085\u2028\u2029\n\r"\\/<>&{}[]:, \x7f\ue000😀é'

texts = st.text(st.one_of(st.sampled_from(AWKWARD), st.characters(codec="utf-8")), min_size=1, max_size=12)


@st.composite
def cuts(draw: st.DrawFn, size: int) -> list[int]:
    """Where to cut a stream of so many bytes, in order."""
    return sorted(draw(st.lists(st.integers(0, size), max_size=12)))


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *places, len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def frames(decoder: Decoder, reads: Iterable[bytes]) -> list[Frame]:
    """Everything a decoder makes of a whole connection."""
    found = [frame for data in reads for frame in decoder.feed(data)]
    return [*found, *decoder.finish()]


def events(frames: Iterable[Frame]) -> list[Event]:
    return [event for frame in frames for event in frame.events]


def payloads(stream: bytes) -> list[Any]:
    """The JSON of a stream's events, in order; the end marker as a text."""
    data = [event.removeprefix(b"data: ") for event in stream.split(b"\n\n") if event.startswith(b"data: ")]
    return ["[DONE]" if text == b"[DONE]" else msgspec.json.decode(text) for text in data]


def event_stream(*chunks: Any) -> bytes:
    """Server-sent events: a text as it is, anything else as JSON."""
    texts = [chunk.encode() if isinstance(chunk, str) else msgspec.json.encode(chunk) for chunk in chunks]
    return b"".join(b"data: " + text + b"\n\n" for text in texts)


def delta(content: str | None = None, *, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """One chunk of an OpenAI stream."""
    said = {"content": content} if content is not None else {}
    choice = {"index": index, "delta": {**said, **more}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "wire-name", "choices": [choice]}

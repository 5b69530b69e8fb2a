"""The requests the bench sends, as bytes on the wire, and what a right answer to each looks like."""

import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus

import msgspec

from bench import vectors
from bench.answers import MARK, MODEL
from bench.backend import pace
from bench.paths import OPENAI, Path

API_KEY = "bench-key"
REQUEST_BYTES = 350
MAX_TOKENS = 256
MARKED = re.compile(re.escape(MARK) + rb"(\d{4})")
SENTENCE = "Tell me how a railway switch sends a train onto one track or another. "
CODE = 'def turn(self, track: int) -> None:\n\t"""Sends the next train onto another track."""\n\tself._track = track\n'
TURN_BYTES = 10_000


class Ask(msgspec.Struct, frozen=True):
    """One prepared request; `frames` is 0 when the answer is not a stream."""

    port: int
    raw: bytes
    frames: int = 0
    events: int | None = None  # exact number of SSE events, where a frame may be neither added nor dropped
    ending: bytes = b""
    status: int = HTTPStatus.OK
    says: bytes = b"The quick brown fox"
    body: bytes | None = None  # the whole answer, where every byte is known


def chat(port: int, path: Path, *, native: bool, model: str = "", key: str = API_KEY) -> Ask:
    """W1's request. `native` is the backend's own format, for the backend itself and the floor."""
    fields = _fields(path, native=native, model=model)
    return Ask(port, _request(port, path.chat if native else OPENAI.chat, fields, key=key))


def stream(port: int, path: Path, *, native: bool, frames: int, delay_ms: int) -> Ask:
    """W2's and W3's request, without `include_usage`, as most clients send it."""
    raw = _stream(port, path, native=native, asked=(frames, delay_ms))
    return Ask(port, raw, frames=frames, ending=(path if native else OPENAI).ending, events=_events(path, frames))


def stream_of(port: int, model: str, *, frames: int) -> Ask:
    """A stream from any model, of so many frames at once."""
    return Ask(port, _stream(port, OPENAI, native=False, asked=(frames, 0), model=model), frames=frames)


def big(port: int, path: Path, *, native: bool, size: int) -> Ask:
    """W5's request: a long conversation of about `size` bytes, answered at once."""
    fields = _fields(path, native=native)
    said = (CODE + SENTENCE) * (TURN_BYTES // len(CODE + SENTENCE))
    turns = size // len(msgspec.json.encode({"role": "assistant", "content": said})) // 2 * 2
    more = [{"role": ("user", "assistant")[turn % 2], "content": said} for turn in range(turns)]
    system = [message for message in fields["messages"] if message["role"] == "system"]
    fields["messages"] = [*system, *more, {"role": "user", "content": SENTENCE}]
    return Ask(port, _request(port, path.chat if native else OPENAI.chat, fields))


def leniently(ask: Ask) -> Ask:
    """The same request, answered in whichever number of events."""
    return msgspec.structs.replace(ask, events=None)


def embeddings(port: int, path: Path, *, native: bool) -> Ask:
    """W4's request: 64 strings. `body` is set where the answer's bytes are known beforehand."""
    texts = [f"{number:02d} {SENTENCE}" for number in range(vectors.INPUTS)]
    fields = {"model": MODEL if native else path.alias, "input": texts}
    if not (native and path.kind == "ollama"):
        fields["encoding_format"] = "float"
    body = vectors.native_body(path) if native else vectors.openai_body(path.alias) if path is OPENAI else None
    raw = _request(port, path.embed if native else OPENAI.embed, fields)
    return Ask(port, raw, says=b'"embedding', body=body)


def bad_keys(port: int, count: int) -> Iterator[Ask]:
    """W10's requests: W1's, each with another wrong key, to be answered with 401."""
    mark = "bench-bad-key-000000"
    raw = chat(port, OPENAI, native=False, key=mark).raw
    for number in range(count):
        yield Ask(port, raw.replace(mark.encode(), b"bench-bad-key-%06d" % number), status=HTTPStatus.UNAUTHORIZED)


def _events(path: Path, frames: int) -> int | None:
    return frames + 2 if path is OPENAI else None


def _stream(port: int, path: Path, *, native: bool, asked: tuple[int, int], model: str = "") -> bytes:
    fields = _fields(path, native=native, model=model, asked=asked)
    return _request(port, path.chat if native else OPENAI.chat, fields)


def _fields(path: Path, *, native: bool, model: str = "", asked: tuple[int, int] | None = None) -> dict[str, object]:
    """A chat body of REQUEST_BYTES; `asked` are the frames of a stream and their distance in milliseconds."""
    body: dict[str, object] = {"model": model or (MODEL if native else path.alias), "stream": asked is not None}
    if native and path.kind == "claude":
        body["max_tokens"] = MAX_TOKENS
    elif asked:
        body |= (
            {"options": {"num_predict": MAX_TOKENS}} if native and path.kind == "ollama" else {"max_tokens": MAX_TOKENS}
        )
    order = f" {pace(*asked)}." if asked else ""
    system = f"You are a helpful assistant. Answer in plain words.{order}"
    user = {"role": "user", "content": ""}
    if native and path.kind == "claude":
        body |= {"system": system, "messages": [user]}
    else:
        body["messages"] = [{"role": "system", "content": system}, user]
    user["content"] = (SENTENCE * 5)[: REQUEST_BYTES - len(msgspec.json.encode(body))]
    return body


def _request(port: int, endpoint: str, fields: dict[str, object], *, key: str = API_KEY) -> bytes:
    encoded = msgspec.json.encode(fields)
    head = (
        f"POST {endpoint} HTTP/1.1\r\n"
        f"host: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\naccept: */*\r\n"
        f"content-type: application/json\r\ncontent-length: {len(encoded)}\r\n\r\n"
    )
    return head.encode() + encoded


@cache
def _numbers(frames: int) -> tuple[bytes, ...]:
    return tuple(b"%04d" % index for index in range(frames))


def fault(ask: Ask, status: int, body: bytes) -> str | None:
    """Say what is wrong with an answer, or None."""
    if status != ask.status:
        return f"status {status}"
    if status != HTTPStatus.OK:
        return None
    if ask.frames:
        return _stream_fault(ask, body)
    if ask.body is not None and body != ask.body:
        return "bytes changed"
    return None if ask.says in body else "wrong body"


def _stream_fault(ask: Ask, body: bytes) -> str | None:
    if tuple(MARKED.findall(body)) != _numbers(ask.frames):
        return "frames not 1:1"
    if ask.ending not in body[-600:]:
        return "no end marker"
    if ask.events is not None and body.count(b"data: ") != ask.events:
        return "events added or dropped"
    return None

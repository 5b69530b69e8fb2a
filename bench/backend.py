"""The fake backend process: OpenAI, Ollama and Claude on one port, as cheap as Python can answer.

The prompt says what it wants (`pace` writes it): how many content frames, and how many milliseconds between them.
`GET /bench/stats` tells what is in flight. Under `/fault/KIND` it is an OpenAI server that lists models but fails at
chat: `500`, `hang` (no headers), `mute` (a role, then silence), `stall` (three content frames, then silence).
"""

import argparse
import asyncio
import contextlib
import re

import msgspec
import uvloop

from bench import answers, claude, vectors

DEFAULT_FRAMES = 100
STALLED_FRAMES = 3
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
PACE = re.compile(rb"pace (\d+) x (\d+) ms")


def pace(frames: int, delay_ms: int) -> str:
    """The words of a prompt that ask for so many frames, so far apart."""
    return f"pace {frames} x {delay_ms} ms"


class StreamOptions(msgspec.Struct):
    """OpenAI's `stream_options`."""

    include_usage: bool = False


class Ask(msgspec.Struct):
    """The fields of any chat request that matter here."""

    stream: bool | None = None
    stream_options: StreamOptions | None = None


class Stats(msgspec.Struct):
    """Counts since the start; `in_flight` is now."""

    in_flight: int = 0
    requests: int = 0
    generations: int = 0
    faults: int = 0
    abandoned: int = 0


parse_ask = msgspec.json.Decoder(Ask).decode
stats = Stats()
WHOLE = {
    "/v1/chat/completions": answers.OPENAI_ANSWER,
    "/api/chat": answers.OLLAMA_ANSWER,
    "/v1/messages": claude.ANSWER,
}


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are answered in turn."""

    def __init__(self) -> None:
        self.buffer = b""
        self.transport: asyncio.Transport
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, _exc: Exception | None) -> None:
        """Stop a stream that is under way."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
            stats.in_flight -= 1
            stats.abandoned += 1

    def data_received(self, data: bytes) -> None:
        """Answer every whole request received so far."""
        self.buffer += data
        while self.timer is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if CHUNKED.search(self.buffer, 0, end):
                self.transport.write(answers.BAD_REQUEST)
                self.transport.close()
                return
            length = CONTENT_LENGTH.search(self.buffer, 0, end + 2)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(self.buffer) < total:
                return
            head, body = self.buffer[:end], self.buffer[end + 4 : total]
            self.buffer = self.buffer[total:]
            self.answer(head, body)

    def answer(self, head: bytes, body: bytes) -> None:
        """Answer one request."""
        stats.requests += 1
        line = head.partition(b"\r")[0]
        route = line.decode("latin-1").rpartition(" ")[0].partition("?")[0]
        if route.startswith("POST /"):
            self.generate(route.removeprefix("POST "), body)
        elif route == "GET /bench/stats":
            self.transport.write(answers.response(msgspec.json.encode(stats)))
        elif route == "GET /v1/models" and b"anthropic-version" in head.lower():
            self.transport.write(claude.MODELS)
        else:
            if route.startswith("GET /fault/"):
                route = "GET /" + route.split("/", 3)[3]
            self.transport.write(answers.FIXED.get(route, answers.NOT_FOUND))

    def generate(self, path: str, body: bytes) -> None:
        """Answer a POST."""
        if path == "/api/show":
            self.transport.write(answers.FIXED["POST /api/show"])
            return
        stats.generations += 1
        if path in {"/v1/embeddings", "/api/embed"}:
            self.transport.write(vectors.answer(path))
        elif path.startswith("/fault/"):
            self.fail(path.split("/", 3)[2])
        elif path in {"/v1/chat/completions", "/api/chat", "/v1/messages"}:
            self.chat(path, body)
        else:
            self.transport.write(answers.NOT_FOUND)

    def fail(self, kind: str) -> None:
        """Fail in one of the ways of the module's docstring."""
        stats.faults += 1
        if kind == "500":
            self.transport.write(answers.FAILED)
        elif kind in {"mute", "stall"}:
            self.transport.write(answers.stalled_stream(STALLED_FRAMES if kind == "stall" else 0))

    def chat(self, path: str, body: bytes) -> None:
        """Answer a chat request, whole or as a stream."""
        try:
            ask = parse_ask(body)
        except msgspec.DecodeError:
            self.transport.write(answers.BAD_REQUEST)
            return
        streams = ask.stream is not False if path == "/api/chat" else ask.stream
        if not streams:
            self.transport.write(WHOLE[path])
            return
        asked = PACE.search(body)
        frames, delay_ms = (int(asked[1]), int(asked[2])) if asked else (DEFAULT_FRAMES, 0)
        if path == "/api/chat":
            writes = answers.ollama_stream(frames)
        elif path == "/v1/messages":
            writes = claude.stream(frames)
        else:
            usage = ask.stream_options is not None and ask.stream_options.include_usage
            writes = answers.openai_stream(frames, usage=usage)
        self.stream(writes, delay_ms)

    def stream(self, writes: tuple[bytes, ...], delay_ms: int) -> None:
        """Send everything at once, or frame by frame at fixed times."""
        if not delay_ms:
            self.transport.writelines(writes)
            return
        stats.in_flight += 1
        loop = asyncio.get_running_loop()
        start = loop.time()

        def send(index: int) -> None:
            self.transport.write(writes[index])
            if index + 1 < len(writes):
                self.timer = loop.call_at(start + (index + 1) * delay_ms / 1000, send, index + 1)
            else:
                self.timer = None
                stats.in_flight -= 1
                self.data_received(b"")

        send(0)


async def serve(port: int) -> None:
    """Serve on loopback until cancelled."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(parser.parse_args().port))

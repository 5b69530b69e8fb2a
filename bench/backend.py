"""The fake backend process: OpenAI and Ollama chat on one port, as cheap as Python can answer.

The request says what it wants: `max_tokens` (Ollama: `options.num_predict`) is the number of content frames,
`seed` (`options.seed`) the delay between them in milliseconds. `GET /bench/stats` tells what is in flight.
"""

import argparse
import asyncio
import contextlib
import re

import msgspec
import uvloop

from bench import answers

DEFAULT_FRAMES = 100
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


class StreamOptions(msgspec.Struct):
    """OpenAI's `stream_options`."""

    include_usage: bool = False


class Options(msgspec.Struct):
    """Ollama's `options`."""

    seed: int = 0
    num_predict: int = DEFAULT_FRAMES


class Ask(msgspec.Struct):
    """The fields of either chat request that matter here."""

    stream: bool | None = None
    seed: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream_options: StreamOptions | None = None
    options: Options | None = None


class Stats(msgspec.Struct):
    """Counts since the start; `in_flight` is now."""

    in_flight: int = 0
    requests: int = 0
    abandoned: int = 0


parse_ask = msgspec.json.Decoder(Ask).decode
stats = Stats()


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
            line, body = self.buffer[: self.buffer.index(b"\r")], self.buffer[end + 4 : total]
            self.buffer = self.buffer[total:]
            self.answer(line, body)

    def answer(self, line: bytes, body: bytes) -> None:
        """Answer one request."""
        stats.requests += 1
        if line.startswith(b"POST /v1/chat/completions "):
            self.chat(body, ollama=False)
        elif line.startswith(b"POST /api/chat "):
            self.chat(body, ollama=True)
        elif line.startswith(b"GET /bench/stats "):
            self.transport.write(answers.response(msgspec.json.encode(stats)))
        else:
            route = line.decode("latin-1").rpartition(" ")[0].partition("?")[0]
            self.transport.write(answers.FIXED.get(route, answers.NOT_FOUND))

    def chat(self, body: bytes, *, ollama: bool) -> None:
        """Answer a chat request, whole or as a stream."""
        try:
            ask = parse_ask(body)
        except msgspec.DecodeError:
            self.transport.write(answers.BAD_REQUEST)
            return
        if ollama:
            options = ask.options or Options()
            if ask.stream is False:
                self.transport.write(answers.OLLAMA_ANSWER)
            else:
                self.stream(answers.ollama_stream(options.num_predict), options.seed)
        elif ask.stream:
            frames = ask.max_tokens or ask.max_completion_tokens or DEFAULT_FRAMES
            usage = ask.stream_options is not None and ask.stream_options.include_usage
            self.stream(answers.openai_stream(frames, usage=usage), ask.seed or 0)
        else:
            self.transport.write(answers.OPENAI_ANSWER)

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

"""An adapter and the backend it talks to, as the contract sees them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any

from adapters import discover
from adapters.claude import Claude
from router.canonical.adapter import Adapter, Attempt, BackendConfig, Timeouts, Vectors
from router.canonical.events import Event, Frame
from router.canonical.fold import Completed, fold
from router.canonical.request import Profile
from router.dialects import openai_chat, openai_completions, openai_embeddings
from router.errors import RouterError
from tests.fakes import FakeBackend
from tests.fakes.answer import named_sse_frame
from tests.fakes.persona import Flavour

KINDS: tuple[Flavour, ...] = ("ollama", "llama_cpp", "openai", "claude")
EMBEDDERS = frozenset({"ollama", "llama_cpp", "openai"})
SHOWN = "what-the-client-asked-for"
BACKEND = "desk"
USER = {"role": "user", "content": "hi there"}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("f", "g")]


@dataclass
class Heard:
    """What came of one request: the frames, and the error that ended them."""

    frames: list[Frame] = field(default_factory=list)
    error: RouterError | None = None
    dropped: tuple[str, ...] = ()

    @property
    def events(self) -> list[Event]:
        return [event for frame in self.frames for event in frame.events]

    @property
    def completed(self) -> Completed:
        return fold(self.events)

    @property
    def text(self) -> str:
        return "".join(choice.text for choice in self.completed.choices)


@dataclass
class Party:
    """One kind of adapter against a fake of that kind."""

    kind: Flavour
    fake: FakeBackend
    adapter: Adapter

    @property
    def is_native(self) -> bool:
        return self.kind == "ollama"

    @property
    def chat_path(self) -> str:
        return {"ollama": "/api/chat", "claude": "/v1/messages"}.get(self.kind, "/v1/chat/completions")

    @property
    def model(self) -> str:
        return self.fake.models[0].name

    @property
    def embedding_model(self) -> str:
        return self.fake.models[-1].name

    async def hear(self, *, stream: bool = True, **fields: Any) -> Heard:
        """Asks and listens to the end; a RouterError is part of what is heard."""
        heard = Heard()
        try:
            async for frames in self.listen(heard, stream=stream, **fields):
                heard.frames.extend(frames)
        except RouterError as error:
            heard.error = error
        return heard

    async def listen(self, heard: Heard | None = None, *, stream: bool = True, **fields: Any) -> AsyncIterator[Any]:
        request = openai_chat.parse_request(
            json.dumps({"model": SHOWN, "messages": [USER], "stream": stream, **fields}).encode()
        )
        async with self.adapter.chat(request, self.attempt(self.model)) as reply:
            if heard is not None:
                heard.dropped = reply.dropped
            async for frames in reply.batches():
                yield frames

    async def complete(self, *, stream: bool = True, **fields: Any) -> Heard:
        """Asks for the rest of a text and listens to the end; a RouterError is part of what is heard."""
        heard = Heard()
        body = json.dumps({"model": SHOWN, "prompt": "hi there", "stream": stream, **fields}).encode()
        try:
            async with self.adapter.complete(openai_completions.parse_request(body), self.attempt(self.model)) as reply:
                heard.dropped = reply.dropped
                async for frames in reply.batches():
                    heard.frames.extend(frames)
        except RouterError as error:
            heard.error = error
        return heard

    async def embed(self, inputs: Sequence[str], **fields: Any) -> Vectors:
        body = json.dumps({"model": SHOWN, "input": inputs, **fields}).encode()
        return await self.adapter.embed(openai_embeddings.parse_request(body), self.attempt(self.embedding_model))

    def attempt(self, model: str) -> Attempt:
        return Attempt(model=model, shown=SHOWN, profile=Profile())

    def chunk(self, **said: Any) -> Mapping[str, Any] | str:
        """One frame of a stream in the backend's own format."""
        if self.kind == "claude":
            return claude_block({"type": "text", "text": ""}, {"type": "text_delta", "text": said["content"]})
        if self.is_native:
            return {"model": self.model, "message": {"role": "assistant", "content": "", **said}, "done": False}
        return {"id": "c", "model": self.model, "choices": [{"index": 0, "delta": said, "finish_reason": None}]}

    def end(self) -> list[Any]:
        if self.kind == "claude":
            return [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
        if self.is_native:
            return [{"model": self.model, "message": {"content": ""}, "done": True, "done_reason": "stop"}]
        finish = {"id": "c", "model": self.model, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        return [finish, "[DONE]"]

    def called(self, *names: str) -> Mapping[str, Any] | str:
        """A frame in which the model calls these tools."""
        if self.kind == "claude":
            return "".join(
                claude_block(
                    {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": {}},
                    {"type": "input_json_delta", "partial_json": json.dumps({"x": name})},
                )
                for name in names
            )
        if self.is_native:
            return self.chunk(tool_calls=[{"function": {"name": name, "arguments": {"x": name}}} for name in names])
        calls = [
            {"index": at, "id": f"call_{name}", "type": "function",
             "function": {"name": name, "arguments": json.dumps({"x": name})}}
            for at, name in enumerate(names)
        ]  # fmt: skip
        return self.chunk(tool_calls=calls)

    def failed(self, message: str) -> Mapping[str, Any]:
        error = {"message": message, "type": "server_error", "code": 500}
        return {"type": "error", "error": message if self.is_native else error}

    def whole(self, text: str) -> bytes:
        """A whole answer as one body."""
        if self.kind == "claude":
            return json.dumps({"type": "message", "content": [{"type": "text", "text": text}]}).encode()
        if self.is_native:
            return json.dumps({"model": "m", "message": {"content": text}, "done": True}).encode()
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()

    def streamed(self, text: str) -> bytes:
        """A streamed answer as one body."""
        frames = [self.chunk(content=text), *self.end()]
        if self.kind == "claude":
            return b"".join(named_sse_frame(frame) for frame in frames)
        texts = [frame.encode() if isinstance(frame, str) else json.dumps(frame).encode() for frame in frames]
        return b"".join(each + b"\n" if self.is_native else b"data: " + each + b"\n\n" for each in texts)

    async def settled(self) -> None:
        """Nothing is being answered any more."""
        await self.fake.until(lambda: self.fake.in_flight == 0)


def claude_block(block: Mapping[str, Any], delta: Mapping[str, Any]) -> str:
    """A content block of one piece, as Claude streams it."""
    events = (
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
    )
    return "".join(named_sse_frame(event).decode() for event in events)


@asynccontextmanager
async def adapter_for(kind: str, url: str, **config: Any) -> AsyncIterator[Adapter]:
    """An adapter that asks nothing by itself: Claude's would read its models beside the first request."""
    adapter = discover()[kind](BackendConfig(name=BACKEND, url=url, **config))
    if isinstance(adapter, Claude):
        adapter._list_due = inf
    try:
        yield adapter
    finally:
        await adapter.aclose()
        await asyncio.sleep(0)


@asynccontextmanager
async def party(kind: Flavour, *, timeouts: Timeouts | None = None, **config: Any) -> AsyncIterator[Party]:
    async with (
        FakeBackend(flavour=kind) as fake,
        adapter_for(kind, fake.url, timeouts=timeouts or Timeouts(), **config) as adapter,
    ):
        yield Party(kind, fake, adapter)

"""The soak's requests: what is sent, and what may come back."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp

from bench.soak import kinds
from bench.wire import API_KEY

REPLY = "a train is sent onto one track or another by a switch of rails"
DEADLINE_S = 15.0
DONE = b"data: [DONE]"
PLACE = "Paris"
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
FAILURES = frozenset({400, 404, 408, 413, 429, 502, 503, 504})
"""How a backend's failure may reach the client: never as 401 or 403, which would be about the client's own key, and
never as 500, which would be the router's own failure."""


class Wrong(Exception):
    """An answer that must not be; the text says why."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Where to send, and what for; `kinds` are the backends there are."""

    session: aiohttp.ClientSession
    url: str
    kinds: tuple[str, ...]
    random: Random

    def post(self, path: str, body: object, *, key: str = API_KEY) -> "aiohttp.client._RequestContextManager":
        """A POST; `body` is JSON, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        return self.session.post(self.url + path, data=data, headers=headers)

    def chat(self, *, stream: bool, says: str = "Hello", **more: object) -> dict[str, object]:
        """A chat body to any model."""
        model = self.random.choice(kinds.chat_models(self.kinds))
        return {"model": model, "stream": stream, "messages": [{"role": "user", "content": says}], **more}


Ask = Callable[[Caller], Awaitable[str]]


async def asked(caller: Caller, ask: Ask) -> str:
    """What became of one request, in a word or two; raises Wrong."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await ask(caller)
    except TimeoutError:
        raise Wrong(f"hang: no end within {DEADLINE_S:.0f} s") from None
    except aiohttp.ClientError as error:
        raise Wrong(f"connection: {type(error).__name__}") from None


async def chat(caller: Caller) -> str:
    """A whole answer."""
    return await _whole(caller, caller.chat(stream=False), lambda message: message["content"] == REPLY)


async def tool_call(caller: Caller) -> str:
    """A whole answer that calls a tool."""
    body = caller.chat(stream=False, says="What is the weather?", tools=[TOOL])
    return await _whole(caller, body, lambda message: message["tool_calls"][0]["function"]["name"] == "weather")


async def _whole(caller: Caller, body: object, is_right: Callable[[Any], bool]) -> str:
    async with caller.post("/v1/chat/completions", body) as answer:
        said = await answer.read()
        if answer.status != 200:
            return _failed(answer.status, said)
    choice = json.loads(said)["choices"][0]
    if not is_right(choice["message"]):
        raise Wrong("not what the backend said")
    return "whole"


async def stream(caller: Caller) -> str:
    """A stream: all of it and the end marker, or one error and no end marker."""
    more = {"stream_options": {"include_usage": True}} if caller.random.random() < 0.5 else {}
    return await _streamed(caller, caller.chat(stream=True, **more), "content", REPLY)


async def big_stream(caller: Caller) -> str:
    """A stream that answers a prompt of 100 KB."""
    return await _streamed(caller, caller.chat(stream=True, says="mind the gap " * 8000), "content", REPLY)


async def tool_stream(caller: Caller) -> str:
    """A streamed tool call."""
    body = caller.chat(stream=True, says="What is the weather?", tools=[TOOL])
    return await _streamed(caller, body, "arguments", PLACE)


async def _streamed(caller: Caller, body: object, field: str, expected: str) -> str:
    async with caller.post("/v1/chat/completions", body) as answer:
        said = await answer.read()
        if answer.status != 200:
            return _failed(answer.status, said)
    events = [line.removeprefix(b"data: ") for line in said.split(b"\n") if line.startswith(b"data: ")]
    chunks = [json.loads(event) for event in events if event != b"[DONE]"]
    errors = [chunk for chunk in chunks if "error" in chunk]
    if errors:
        if len(errors) > 1 or DONE in said:
            raise Wrong("went on after an error")
        return _failed(None, json.dumps(errors[0]).encode())
    if events.count(b"[DONE]") != 1 or events[-1] != b"[DONE]":
        raise Wrong("a stream without its end marker")
    text = "".join(_piece(choice["delta"], field) for chunk in chunks for choice in chunk["choices"])
    if text != expected and not (field == "arguments" and expected in text):
        raise Wrong("a stream that ended well without being whole")
    return "whole"


def _piece(delta: Mapping[str, Any], field: str) -> str:
    if field == "content":
        return delta.get("content") or ""
    return "".join(call["function"].get("arguments") or "" for call in delta.get("tool_calls") or ())


async def embeddings(caller: Caller) -> str:
    """Three vectors, as numbers or in base64."""
    model = caller.random.choice(kinds.embed_models(caller.kinds))
    encoding = caller.random.choice(("float", "base64"))
    body = {"model": model, "input": ["one", "two", "three"], "encoding_format": encoding}
    async with caller.post("/v1/embeddings", body) as answer:
        said = await answer.read()
        if answer.status != 200:
            return _failed(answer.status, said)
    if [item["index"] for item in json.loads(said)["data"]] != [0, 1, 2]:
        raise Wrong("not one vector for each input")
    return "whole"


async def model_list(caller: Caller) -> str:
    """The list of models, which no backend's failure may spoil."""
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with caller.session.get(f"{caller.url}/v1/models", headers=headers) as answer:
        said = await answer.read()
        if answer.status != 200 or kinds.ANY not in {model["id"] for model in json.loads(said)["data"]}:
            raise Wrong(f"model list: status {answer.status}")
    return "whole"


async def mistake(caller: Caller) -> str:
    """A request that is the caller's own fault, answered with its own status whatever the backends do."""
    path, body, status, key = caller.random.choice(
        [
            ("/v1/chat/completions", b'{"model": "any", "messages": [', 400, API_KEY),
            ("/v1/chat/completions", {"model": kinds.ANY, "messages": "none"}, 400, API_KEY),
            ("/v1/chat/completions", caller.chat(stream=True, temperature="hot"), 400, API_KEY),
            ("/v1/chat/completions", caller.chat(stream=False), 401, "a-key-that-is-wrong"),
            ("/v1/embeddings", {"model": kinds.EMBED_ANY, "input": []}, 400, API_KEY),
            ("/v1/nowhere", {}, 404, API_KEY),
            ("/v1/models", {}, 405, API_KEY),
        ]
    )
    async with caller.post(path, body, key=key) as answer:
        said = await answer.read()
        if answer.status != status:
            raise Wrong(f"a mistake worth {status} answered with {answer.status}")
        _code(said)
    return f"refused with {status}"


async def leave(caller: Caller) -> str:
    """Goes away after some bytes, or before the first one."""
    body = caller.chat(stream=caller.random.random() < 0.8)
    patience = caller.random.choice((0.0, 0.002, 0.01, 0.05, 0.2))
    try:
        async with asyncio.timeout(patience or None), caller.post("/v1/chat/completions", body) as answer:
            if not patience:
                for _ in range(caller.random.randint(1, 8)):
                    await answer.content.readany()
            else:
                await answer.read()
            answer.close()
    except TimeoutError:
        return "left, waiting"
    return "left, or had it all"


def _failed(status: int | None, body: bytes) -> str:
    """A failure that a client may be told; `status` is None inside a stream."""
    code = _code(body)
    if code == "internal_error":
        raise Wrong("internal_error")
    if status is not None and status not in FAILURES:
        raise Wrong(f"status {status} {code}")
    return f"failed, {code}" if status else f"broke off, {code}"


def _code(body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        raise Wrong("an error that is not OpenAI's JSON") from None
    return str(error.get("code") or error.get("type"))


MIX: dict[str, tuple[Ask, int]] = {
    "chat": (chat, 20),
    "chat, stream": (stream, 28),
    "chat, 100 KB, stream": (big_stream, 2),
    "tool call": (tool_call, 6),
    "tool call, stream": (tool_stream, 6),
    "embeddings": (embeddings, 10),
    "models": (model_list, 4),
    "mistakes": (mistake, 10),
    "leaving": (leave, 14),
}

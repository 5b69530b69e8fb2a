"""What the tests of `/v1/messages` send and read."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.fakes import FakeBackend, FakeModel
from tests.running import RunningRouter, running
from tests.surfaces.asking import alias, backends

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
VERSION = {"anthropic-version": "2023-06-01"}
HELLO = [{"role": "user", "content": "hello there"}]
WEATHER = {
    "name": "get_weather",
    "description": "Current weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

CLAUDE_MODEL = "claude-sonnet-5"
ABLE = ("completion", "tools", "thinking", "vision")
SIGNED = {"type": "thinking", "thinking": "call it", "signature": "EqoBCkYfake"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo", "z": 1, "a": 1.50}}
LOOP: list[Any] = [
    {
        "role": "user",
        "content": [{"type": "text", "text": "Oslo?", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    },
    {"role": "assistant", "content": [SIGNED, CALL]},
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sun", "is_error": False}],
    },
]


def said(model: str, **fields: Any) -> dict[str, Any]:
    """The body of a request."""
    return {"model": model, "max_tokens": 50, "messages": HELLO, **fields}


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream in order; each must have an `event:` line that says its type."""
    events: list[dict[str, Any]] = []
    for record in stream.decode().split("\n\n"):
        if not record or record.startswith(":"):
            continue
        name, _, data = record.partition("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}", record
        events.append(event)
    return events


def texts_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")


def error_of(response: httpx.Response) -> Mapping[str, Any]:
    """The error of an answer that must have Anthropic's shape."""
    body = response.json()
    assert set(body) == {"type", "error", "request_id"}, body
    assert body["type"] == "error"
    assert set(body["error"]) == {"type", "message"}, body
    assert body["request_id"] == response.headers["request-id"] == response.headers["x-request-id"]
    return body["error"]


@asynccontextmanager
async def serving(
    flavour: str, *, server: Any = None, **more: Any
) -> AsyncGenerator[tuple[FakeBackend, RunningRouter]]:
    """A router over one fake; the model is called `m`."""
    name = CLAUDE_MODEL if flavour == "claude" else "local"
    async with FakeBackend([FakeModel(name, ABLE)], flavour=flavour) as fake:
        config = {
            "backends": backends({"desk": fake}, **more),
            "models": alias("m", f"desk/{name}"),
            **({"server": server} if server else {}),
        }
        async with running(config) as r:
            yield fake, r

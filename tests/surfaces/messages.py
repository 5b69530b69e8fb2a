"""What the tests of `/v1/messages` send and read."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
VERSION = {"anthropic-version": "2023-06-01"}
HELLO = [{"role": "user", "content": "hello there"}]
WEATHER = {
    "name": "get_weather",
    "description": "Current weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


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

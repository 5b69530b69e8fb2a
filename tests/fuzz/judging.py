"""Whether an answer is one that a client of OpenAI's API can read."""

import json
import logging
from typing import Any

import httpx

from tests.dialects.responses_reading import events_of, read

OURS = ("router", "adapters", "uvicorn", "litestar", "asyncio", "aiohttp.client")


def check(response: httpx.Response, *, stream: bool) -> None:
    """Raises AssertionError for anything but a whole answer, a whole stream, or an error in OpenAI's shape."""
    if response.status_code != 200:
        _check_error(response.json())
    elif stream and response.headers["content-type"].startswith("text/event-stream"):
        (_check_named if b"event: response.created\n" in response.content else _check_stream)(response.content)
    else:
        body = response.json()
        assert isinstance(body, dict)
        assert body.get("error") is None


def _check_named(raw: bytes) -> None:
    """The events of a response, which say themselves how it ended."""
    if events_of(raw)[-1]["type"] == "response.failed":
        assert events_of(raw)[-1]["response"]["error"]["code"] != "internal_error"
    else:
        read(raw)


def _check_stream(raw: bytes) -> None:
    """Objects of JSON, then either `[DONE]` or one error and nothing."""
    *events, rest = raw.decode("utf-8").split("\n\n")
    assert rest == "", f"the stream ends in the middle of an event: {rest!r}"
    payloads = [_payload(event) for event in events if not event.startswith(":")]
    told = [payload for payload in payloads if payload is not None]
    assert told, "a stream that says nothing"
    *before, last = told
    assert "[DONE]" not in before, "something follows the end marker"
    for text in (*before, *([] if last == "[DONE]" else [last])):
        chunk = json.loads(text)
        assert isinstance(chunk, dict), f"an event that is no object: {text!r}"
    errors = [text for text in before if json.loads(text).get("error") is not None]
    assert not errors, f"something follows an error: {errors}"
    if last != "[DONE]":
        _check_error(json.loads(last))


def _payload(event: str) -> str | None:
    lines = [line.removeprefix("data:").removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]
    return "\n".join(lines) if lines else None


def _check_error(body: Any) -> None:
    assert set(body) == {"error"}, body
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}, error
    assert isinstance(error["message"], str)
    assert error["message"]
    assert error["code"] != "internal_error", error


class Listening(logging.Handler):
    """Remembers what the router and what it is built on complained about."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        ours = record.name.startswith(OURS)
        if ours and (record.levelno >= logging.ERROR or record.exc_info or "Traceback" in record.getMessage()):
            self.complaints.append(f"{record.name}: {record.getMessage()}")

"""The line that a request leaves in the log."""

import io
import json
import logging
import re

import pytest

from router.logs import JsonLines, log_to
from router.usage.record import FailedAttempt
from router.usage.request_log import RequestLine, log_request
from tests.usage.recorded import recorded


@pytest.fixture
def written(request):
    """What is logged into a stream that is no terminal, or with `tty` into one; read once the test has logged."""
    stream = io.StringIO()
    stream.isatty = lambda: getattr(request, "param", None) == "tty"
    root, ours = logging.getLogger(), logging.getLogger("router")
    before, level = root.handlers[:], ours.level
    root.handlers.clear()
    listener = log_to(stream, "info")

    def read() -> str:
        listener.stop()
        return stream.getvalue()

    yield read
    root.handlers[:] = before
    ours.setLevel(level)


def test_off_a_terminal_a_request_is_one_json_object(written):
    log_request(recorded(attempts=2, failed=(FailedAttempt("lab", "m", "backend_error"),)))
    lines = written().splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info", "logger": "router.requests",
        "id": "req_1", "operation": "chat", "model": "coder", "backend": "desk", "backend_model": "m",
        "status": 200, "outcome": "ok", "stream": True, "attempts": 2, "failed": "lab: backend_error",
        "resumed": 0, "hedge": "", "reason": "alias coder",
        "prompt_tokens": 10, "completion_tokens": 21, "cached_tokens": 4,
        "reasoning_tokens": 5, "first_token_ms": 500.0, "total_ms": 2500.0,
    }  # fmt: skip


def test_other_lines_are_json_too(written):
    logging.getLogger("router.x").warning("backend %s is down: %s", "desk", 'it said "no"\n')
    line = json.loads(written())
    assert (line["level"], line["logger"]) == ("warning", "router.x")
    assert line["message"] == 'backend desk is down: it said "no"\n'


def test_an_exception_stays_in_its_line():
    error = (ValueError, ValueError("told"), None)
    record = logging.LogRecord("router", logging.ERROR, "", 1, "oh", (), error)
    line = json.loads(JsonLines().format(record))
    assert "ValueError: told" in line["exception"]


@pytest.mark.parametrize("written", ["tty"], indirect=True)
def test_on_a_terminal_a_request_is_readable(written):
    log_request(recorded(attempts=2))
    told = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", written()).split())
    for part in ("chat coder", "desk/m", "200 ok", "10+21 tokens", "first 500 ms", "total 2500 ms", "(alias coder)"):
        assert part in told
    assert "{" not in told


def test_what_a_client_wrote_cannot_forge_a_line():
    line = str(RequestLine(recorded(asked="m\nERROR forged\x1b[2J", usage=None, first_token_s=None)))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_a_long_name_is_cut():
    line = RequestLine(recorded(asked="m" * 100_000))
    assert len(str(line)) < 500
    assert len(str(line.fields())) < 1000


def test_a_request_that_was_refused_at_the_door_has_a_line():
    refused = recorded(operation="", asked="", backend="", model="", reason="", usage=None, first_token_s=None,
                       status=401, outcome="invalid_api_key", attempts=0)  # fmt: skip
    assert str(RequestLine(refused)).startswith("refused - 401 invalid_api_key total")


def test_a_level_above_info_is_silent(written):
    logging.getLogger("router").setLevel(logging.WARNING)
    log_request(recorded())
    assert written() == ""

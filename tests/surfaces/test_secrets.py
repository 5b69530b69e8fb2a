"""Keys, addresses, prompts and tracebacks stay out of every answer and every log."""

import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.surfaces.unexpected import log_unexpected
from tests.fakes import FakeBackend, Faults
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, backends, error_of, idle

pytestmark = pytest.mark.anyio

BACKEND_KEY = "planted-backend-key-4711"
HEADER_KEY = "planted-header-key-4712"
CALLER_KEY = "planted-caller-key-4713"
PROMPT = "planted prompt about my health"
MODELS = {"ollama": "llama3.2", "openai": "fake-chat", "llama_cpp": "smollm2", "claude": "claude-sonnet-5"}

ASKED = {"messages": [{"role": "user", "content": PROMPT}]}


@pytest.fixture(params=MODELS)
async def fake(request, anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour=request.param) as fake:
        yield fake


@pytest.fixture
async def r(fake, caplog) -> AsyncIterator[RunningRouter]:
    caplog.set_level(logging.DEBUG)
    secret = {"api_key": BACKEND_KEY, "headers": {"X-Secret": f"Token {HEADER_KEY}"}}
    config = {
        "backends": backends({"desk": fake}, timeouts={"first_token": 0.1, "idle": 0.1}, **secret),
        "models": alias("one", f"desk/{MODELS[fake.flavour]}"),
        "auth": {"api_keys": [CALLER_KEY]},
    }
    async with running(config, headers={"Authorization": f"Bearer {CALLER_KEY}"}) as r:
        yield r


def echo(fake: FakeBackend, status: int) -> Faults:
    """A backend that repeats everything it knows in its error."""
    told = f"{PROMPT} {BACKEND_KEY} {HEADER_KEY} {fake.url}/v1 at /srv/planted/model.py line 3"
    return Faults(status=status, body={"error": {"message": told, "code": "odd"}})


FAULTS = {
    "a 500 that repeats everything": lambda fake: echo(fake, 500),
    "a 503 that repeats everything": lambda fake: echo(fake, 503),
    "a 429 that repeats everything": lambda fake: echo(fake, 429),
    "a 504 that repeats everything": lambda fake: echo(fake, 504),
    "a 401 that repeats everything": lambda fake: echo(fake, 401),
    "a 404 that repeats everything": lambda fake: echo(fake, 404),
    "a 400 that repeats everything": lambda fake: echo(fake, 400),
    "silence": lambda _: Faults(hang_before_headers=True),
    "a reset": lambda _: Faults(drop_after=0),
    "a reset in mid-stream": lambda _: Faults(drop_after=2),
    "bad JSON": lambda _: Faults(bad_json_at=2),
    "a traceback": lambda _: Faults(status=500, body=f'Traceback: File "/srv/planted/x.py"\n{PROMPT} {BACKEND_KEY}'),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_secret_is_in_an_answer_or_a_log_when_a_backend_fails(r, fake, caplog, fault, stream):
    fake.faults = FAULTS[fault](fake)
    response = await r.client.post(CHAT, json={"model": "one", "stream": stream, **ASKED})
    told = response.text + str(response.headers)
    for secret in (BACKEND_KEY, HEADER_KEY, CALLER_KEY, str(fake.port), "/srv/planted"):
        assert secret not in told
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith(("router", "adapters")))
    for secret in (BACKEND_KEY, HEADER_KEY, CALLER_KEY, PROMPT, str(fake.port), "/srv/planted", "Traceback"):
        assert secret not in ours


async def test_a_wrong_key_is_neither_answered_nor_logged(r, caplog):
    response = await r.client.get("/v1/models", headers={"Authorization": "Bearer planted-wrong-key"})
    assert response.status_code == 401
    assert "planted-wrong-key" not in response.text + caplog.text
    assert CALLER_KEY not in response.text + caplog.text


class PlantedError(Exception):
    """An exception whose message nobody may see."""


@pytest.fixture
async def broken(r, monkeypatch) -> RunningRouter:
    """A router with a bug: its plan raises something nobody expected."""

    def explode(*_, **__):
        raise PlantedError(f"{PROMPT} {BACKEND_KEY}")

    monkeypatch.setattr("router.relay.fleet.plan", explode)
    return r


@pytest.mark.parametrize("stream", [False, True])
async def test_a_bug_of_the_router_is_a_500_without_details(broken, stream):
    response = await broken.client.post(CHAT, json={"model": "one", "stream": stream, **ASKED})
    error = error_of(response)
    assert (response.status_code, error["code"], error["type"]) == (500, "internal_error", "server_error")
    assert "PlantedError" not in response.text
    assert PROMPT not in response.text


async def test_a_bug_of_the_router_is_logged_by_type_and_place_alone(broken, caplog):
    await broken.client.post(CHAT, json={"model": "one", **ASKED})
    record = next(record for record in caplog.records if record.levelno == logging.ERROR)
    text = caplog.text
    assert "PlantedError at " in record.getMessage()
    assert "relay/attempts.py:" in record.getMessage()
    assert record.exc_info is None
    for secret in (PROMPT, BACKEND_KEY, "Traceback", str(Path.cwd()), sys.prefix):
        assert secret not in record.getMessage()
    assert PROMPT not in text


async def test_a_bug_in_mid_stream_is_one_error_event(r, fake, caplog, monkeypatch):
    calls = []

    def explode_later(self, events):
        calls.append(events)
        if len(calls) > 3:
            raise PlantedError(PROMPT)

    fake.faults = Faults(chunk_delay_s=0.01)
    monkeypatch.setattr("router.usage.meter.Meter.observe", explode_later)
    response = await r.client.post(CHAT, json={"model": "one", "stream": True, **ASKED})
    assert response.status_code == 200
    assert response.text.count('data: {"error":') == 1
    assert '"code":"internal_error"' in response.text
    assert "[DONE]" not in response.text
    assert PROMPT not in response.text
    assert "PlantedError at " in caplog.text
    assert idle(r)


def fail_twice() -> None:
    try:
        fail_once()
    except KeyError as error:
        raise PlantedError(PROMPT) from error


def fail_once() -> None:
    raise KeyError(PROMPT)


def test_the_cause_of_a_bug_is_logged_by_type_too(caplog):
    try:
        fail_twice()
    except PlantedError as error:
        log_unexpected(error, "/v1/x")
    assert "unexpected on /v1/x: PlantedError at surfaces/test_secrets.py:" in caplog.text
    assert "after KeyError at surfaces/test_secrets.py:" in caplog.text
    assert PROMPT not in caplog.text

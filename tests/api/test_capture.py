"""Bodies of requests: kept only where the settings say so, bounded, without secrets."""

import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.surfaces.capture import MAX_BYTES, MAX_REQUESTS, CaptureBook, Excerpt, redacted
from tests.fakes import FakeBackend
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, asked, backends, eventually, streamed

ADMIN = {"x-api-key": "planted-key-of-an-admin"}
PROVIDER = "planted-provider-secret"


async def seen(r: RunningRouter, *, at_least: int = 1) -> list[dict]:
    await eventually(lambda: r.router.storage.state.written >= at_least)
    return (await r.client.get("/api/requests", headers=ADMIN)).json()


@pytest.fixture
async def fake(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai", reply="Your key is sk-live-0123456789abcdef, dear.") as fake:
        yield fake


def config(fake: FakeBackend, folder: object, *, capture: bool) -> dict:
    return {
        "backends": backends({"desk": fake}, api_key=PROVIDER),
        "auth": {"api_keys": [{"key": ADMIN["x-api-key"], "scopes": ["admin", "chat", "embed"]}]},
        "server": {"data_dir": str(folder), "capture": capture},
    }


@pytest.mark.anyio
async def test_nothing_is_kept_unless_the_settings_say_so(fake, tmp_path):
    async with running(config(fake, tmp_path, capture=False)) as r:
        await r.client.post(CHAT, json=asked("desk/fake-chat"), headers=ADMIN)
        (request,) = await seen(r)
    assert request["bodies"] is None


@pytest.mark.anyio
async def test_bodies_are_kept_without_secrets(fake, tmp_path):
    async with running(config(fake, tmp_path, capture=True)) as r:
        spoken = f"my password: hunter2-planted and {PROVIDER} and {ADMIN['x-api-key']}"
        body = {"model": "desk/fake-chat", "messages": [{"role": "user", "content": spoken}]}
        await r.client.post(CHAT, json=body, headers=ADMIN)
        (request,) = await seen(r)
    told = json.dumps(request["bodies"])
    assert "dear" in request["bodies"]["response"]
    assert "password: [redacted] and" in request["bodies"]["request"]
    assert not [secret for secret in ("hunter2", "planted", "sk-live") if secret in told]


@pytest.mark.anyio
async def test_of_a_stream_what_was_said_is_kept_so_that_a_secret_in_pieces_is_found(fake, tmp_path):
    async with running(config(fake, tmp_path, capture=True)) as r:
        answer = await streamed(r.client, "desk/fake-chat", headers=ADMIN)
        (request,) = await seen(r)
    assert "sk-live-0123456789abcdef" in answer.text
    assert request["bodies"]["response"] == "Your key is [redacted], dear."


@pytest.mark.anyio
async def test_refused_requests_are_kept_too(fake, tmp_path):
    async with running(config(fake, tmp_path, capture=True)) as r:
        await r.client.post(CHAT, content=b'{"model": 7}', headers=ADMIN)
        (request,) = await seen(r)
    assert request["bodies"]["request"] == '{"model": 7}'
    assert "invalid" in request["bodies"]["response"]


def excerpt(*pieces: bytes) -> Excerpt:
    made = Excerpt()
    for piece in pieces:
        made.add(piece)
    return made


def test_only_so_many_are_kept():
    book = CaptureBook(tuple)
    for number in range(MAX_REQUESTS + 3):
        book.keep("key", f"r{number}", (excerpt(b"q"), excerpt(b"a")))
    assert book.find("key", "r2") is None
    assert book.find("key", "r3") is not None
    assert book.find("other", "r3") is None


@given(st.integers(0, 40))
def test_a_secret_at_the_cut_is_not_half_shown(before):
    secret = "a-very-secret-thing-of-the-router"
    made = excerpt(b"x" * (MAX_BYTES - before), secret.encode(), b"y" * 1000)
    told = made.told([secret])
    assert not any(secret[:length] in told for length in range(4, len(secret)))
    assert told.endswith("bytes in all]")


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ('{"api_key": "abc-def"}', "abc-def"),
        ('"{\\"password\\": \\"abc-def\\"}"', "abc-def"),
        ("Authorization: Bearer abc.def", "abc.def"),
        ("postgresql://u:abc-def@host/db", "abc-def"),
        ("token ghp_abcdefghijklmnop", "ghp_"),
        ("data:image/png;base64," + "QUJD" * 40, "QUJDQUJD"),
        ('{"data": "' + "QUJD" * 200 + '"}', "QUJDQUJD"),
    ],
)
def test_what_looks_secret_or_is_a_picture_is_hidden(text, gone):
    assert gone in text
    assert gone not in redacted(text)


@given(st.text(max_size=400))
def test_any_text_can_be_told(text):
    assert isinstance(excerpt(text.encode("utf-8", "surrogatepass")).told([]), str)

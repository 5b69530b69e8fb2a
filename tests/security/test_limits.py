"""No request is larger, deeper or longer than the router says, and none is read before that is known.

CVE-2026-34756 (unbounded n) and CVE-2026-100650 (a size limit after reading) of other gateways.
"""

import gzip
import json
import tracemalloc
from typing import Any

import pytest

from tests.fakes import Scripted
from tests.security.conftest import CALLER_KEY, Place
from tests.surfaces.asking import CHAT, HELLO, asked, calling, error_of

pytestmark = pytest.mark.anyio

EMBED = "/v1/embeddings"
KEY_LINE = f"Authorization: Bearer {CALLER_KEY}\r\n"


@pytest.mark.parametrize("field", ["n", "top_logprobs"])
@pytest.mark.parametrize("value", [10**30, -(10**30), 10**400], ids=["large", "negative", "huge"])
async def test_no_number_is_too_large_to_be_refused(place: Place, field: str, value: int) -> None:
    response = await place.r.client.post(CHAT, json=asked("m", **{field: value}), headers=place.key)
    assert response.status_code == 400
    assert error_of(response)["param"] == field
    assert place.backend.requests == []


@pytest.mark.parametrize("n", [0, -1, 129, 1_000_000])
async def test_n_is_bounded(place: Place, n: int) -> None:
    response = await place.r.client.post(CHAT, json=asked("m", n=n), headers=place.key)
    assert (response.status_code, error_of(response)["param"]) == (400, "n")
    assert place.backend.requests == []


TOO_MANY: dict[str, tuple[str, dict[str, Any]]] = {
    "messages": (CHAT, {"model": "m", "messages": HELLO * 20_001}),
    "tools": (CHAT, asked("m", tools=[{"type": "function", "function": {"name": "f"}}] * 1_025)),
    "input": (EMBED, {"model": "e", "input": ["a"] * 8_193}),
}


@pytest.mark.parametrize("field", TOO_MANY)
async def test_no_list_is_without_an_end(place: Place, field: str) -> None:
    path, body = TOO_MANY[field]
    response = await place.r.client.post(path, json=body, headers=place.key)
    assert (response.status_code, error_of(response)["param"]) == (400, field)
    assert place.backend.requests == []


async def test_a_compressed_body_is_not_unpacked(place: Place) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    tracemalloc.start()
    try:
        headers = {"Content-Encoding": "gzip", **place.key}
        response = await place.r.client.post(CHAT, content=bomb, headers=headers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_json")
    assert peak < 10_000_000


async def test_a_compressed_answer_of_a_backend_is_not_unpacked(place: Place) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    for path in ("/api/chat", "/v1/chat/completions", "/v1/messages"):
        place.backend.script(path, Scripted(body=bomb, headers={"Content-Encoding": "gzip"}))
    tracemalloc.start()
    try:
        response = await place.r.client.post(CHAT, json=asked("m"), headers=place.key)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert response.status_code == 502
    assert peak < 10_000_000


SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: r\r\n\r\n"
AMBIGUOUS = {
    "two lengths": b"Content-Length: 2\r\nContent-Length: 40\r\n",
    "a length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    "an odd length": b"Content-Length: +2\r\n",
    "a negative length": b"Content-Length: -1\r\n",
    "an odd coding": b"Transfer-Encoding: xchunked\r\n",
}


@pytest.mark.parametrize("lines", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_a_request_whose_end_is_ambiguous_smuggles_no_second_one(place: Place, lines: bytes) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: r\r\n{KEY_LINE}".encode()
    async with calling(place.r) as caller:
        await caller.send(head + lines + b"\r\n0\r\n\r\n" + SMUGGLED)
        await caller.until(b"\r\n\r\n")
        got = bytes(caller.got)
    assert got.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 "))
    assert b'"object":"list"' not in got
    assert place.backend.requests == []


async def test_a_deep_body_is_refused_in_little_time(place: Place) -> None:
    deep = json.dumps(asked("m")).encode()[:-1] + b', "x": ' + b"[" * 500_000 + b"]" * 500_000 + b"}"
    response = await place.r.client.post(CHAT, content=deep, headers=place.key)
    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_json")

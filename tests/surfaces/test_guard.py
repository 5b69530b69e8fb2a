"""What stands before every route: keys, limits on bodies, CORS, and errors in OpenAI's shape whatever happens."""

import json
import time
from collections.abc import AsyncIterator

import pytest

from tests.fakes import FakeBackend
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, HELLO, asked, backends, calling, error_of

pytestmark = pytest.mark.anyio

KEY = "turnout-key-one"
OTHER_KEY = "turnout-key-two"
ASKED = asked("desk/fake-chat")


@pytest.fixture
async def fake(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai") as fake:
        yield fake


@pytest.fixture
async def locked(fake) -> AsyncIterator[RunningRouter]:
    """A router that asks for one of two keys."""
    async with running({"backends": backends({"desk": fake}), "auth": {"api_keys": [KEY, OTHER_KEY]}}) as r:
        yield r


@pytest.fixture
async def r(fake) -> AsyncIterator[RunningRouter]:
    async with running({"backends": backends({"desk": fake}), "server": {"max_body_bytes": 2_000}}) as r:
        yield r


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer {KEY}"},
        {"Authorization": f"BEARER   {OTHER_KEY}"},
        {"x-api-key": KEY},
        {"api-key": OTHER_KEY},
        {"Authorization": "Basic dXNlcjpwYXNz", "X-Api-Key": KEY},
    ],
)
async def test_a_known_key_may_call(locked, headers):
    assert (await locked.client.post(CHAT, json=ASKED, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY} {OTHER_KEY}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": "Bearer wrong", "x-api-key": KEY},
        {"x-api-key": ""},
        {"Cookie": f"api_key={KEY}"},
        {"Authorization": b"Bearer \xff\xfe\x80"},
    ],
)
async def test_any_other_key_is_a_401(locked, fake, headers):
    response = await locked.client.post(CHAT, json=ASKED, headers=headers)
    error = error_of(response)
    assert (response.status_code, error["code"]) == (401, "invalid_api_key")
    assert error["type"] == "authentication_error"
    assert KEY not in response.text
    assert fake.requests == []


async def test_a_key_in_the_address_is_no_key(locked):
    assert (await locked.client.post(f"{CHAT}?api_key={KEY}&key={KEY}", json=ASKED)).status_code == 401


async def test_five_thousand_wrong_keys_are_quick_and_reach_no_backend(locked, fake):
    wrong = b"".join(
        b"GET /v1/models HTTP/1.1\r\nHost: r\r\nAuthorization: Bearer wrong-%d\r\n\r\n" % number
        for number in range(500)
    )
    before, probes = time.process_time(), len(fake.probes)
    for _ in range(10):
        async with calling(locked) as caller:
            await caller.send(wrong)
            await caller.until(b"invalid_api_key", times=500)
    assert time.process_time() - before < 5
    assert fake.requests == []
    assert len(fake.probes) - probes < 10, "those are the prober's own"


PATHS = [
    "/v1/models",
    "//v1/models",
    "/v1//models",
    "/v1/models/",
    "/v1/models/x",
    "/v1%2fmodels",
    "/%76%31/models",
    "/health/live/../../v1/models",
    "/health/live/..%2f..%2fv1/models",
    "/health/live%2f..%2f..%2fv1%2fmodels",
    "/health/live;/v1/models",
    "/health/live%00/v1/models",
    "/health/live?x=/v1/models",
    "/health/live#/v1/models",
    "/health",
    "/health/",
    "//health",
    "/HEALTH/LIVE/../../V1/MODELS",
    "http://router/v1/models",
    "http://router/health/live/../../v1/models",
    "/models",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["router", "localhost/health/live", "x/health/live?", "127.0.0.1#", "a b"])
async def test_no_way_of_writing_a_path_or_a_host_gets_past_the_key(locked, path, host):
    async with calling(locked) as caller:
        await caller.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        got = bytes(await caller.rest())
    head, _, body = got.partition(b"\r\n\r\n")
    status = head.split(b" ")[1]
    if status == b"200":
        assert body == b'{"status":"ok"}'
    else:
        assert status in {b"400", b"401", b"404"}, got
    assert b"fake-chat" not in got
    assert b"backends" not in got


async def test_a_supervisor_needs_no_key(locked):
    assert (await locked.client.get("/health/live")).status_code == 200
    assert (await locked.client.get("/health/ready")).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v1/models/x", "/models"])
async def test_all_that_tells_something_needs_a_key(locked, path):
    assert (await locked.client.get(path)).status_code == 401
    assert (await locked.client.get(path, headers={"x-api-key": KEY})).status_code in {200, 404}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_other_methods_tell_nothing_without_a_key(locked, method):
    response = await locked.client.request(method, "/v1/models")
    assert response.status_code in {401, 405}


async def test_without_keys_everybody_may_call(r):
    assert (await r.client.post(CHAT, json=ASKED)).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_client_sends_about_itself_never_reaches_a_backend(fake, stream):
    sent = {
        "Authorization": f"Bearer {KEY}",
        "x-api-key": KEY,
        "Origin": "https://page.example",
        "Referer": "https://page.example/a",
        "Host": "forged.example",
        "Cookie": "session=secret",
        "X-Conversation-Id": "conversation-7",
        "X-Forwarded-For": "10.1.2.3",
        "Forwarded": "for=10.1.2.3",
        "User-Agent": "planted-agent",
        "X-Request-Id": "planted-id",
        "OpenAI-Organization": "org-planted",
    }
    config = {"backends": backends({"desk": fake}, api_key="backend-key-1"), "auth": {"api_keys": [KEY]}}
    async with running(config) as r:
        await r.client.post(CHAT, json=asked("desk/fake-chat", stream=stream), headers=sent)
        await r.client.post("/v1/embeddings", json={"model": "desk/fake-embed", "input": "a"}, headers=sent)
    assert len(fake.requests) == 2
    for request in fake.requests:
        assert set(request.headers) <= {
            "host", "authorization", "content-type", "content-length", "accept", "accept-encoding", "user-agent"
        }  # fmt: skip
        assert request.headers["authorization"] == "Bearer backend-key-1"
        assert not set(sent.values()) & set(request.headers.values())


@pytest.mark.parametrize("field", ["base_url", "api_base", "url", "host", "backend", "api_key", "endpoint"])
async def test_a_caller_cannot_name_an_upstream(fake, field):
    async with FakeBackend(flavour="openai") as evil, running({"backends": backends({"desk": fake})}) as r:
        await r.client.post(CHAT, json={**ASKED, field: evil.url, "metadata": {field: evil.url}})
        headers = {
            f"x-{field.replace('_', '-')}": evil.url,
            "x-turnout-backend": evil.url,
            "x-forwarded-host": evil.url,
        }
        await r.client.post(CHAT, json=ASKED, headers=headers)
        for model in (f"{evil.url}/fake-chat", f"{evil.url}/v1/fake-chat", f"desk/../{evil.url}", "desk//fake-chat"):
            await r.client.post(CHAT, json=asked(model))
    assert (evil.requests, evil.probes) == ([], [])


async def test_a_body_above_the_limit_is_a_413(r, fake):
    response = await r.client.post(CHAT, json={**ASKED, "user": "u" * 3_000})
    error = error_of(response)
    assert (response.status_code, error["code"]) == (413, "request_too_large")
    assert fake.requests == []


@pytest.mark.parametrize("path", [CHAT, "/v1/embeddings"])
async def test_a_body_that_says_it_is_too_large_is_refused_unread(r, path):
    async with calling(r) as caller:
        await caller.send(f"POST {path} HTTP/1.1\r\nHost: r\r\nContent-Length: 1000000000\r\n\r\n".encode())
        got = await caller.until(b"request_too_large")
    assert got.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", [CHAT, "/v1/embeddings"])
async def test_a_body_of_unknown_length_is_counted_while_it_is_read(r, path):
    async with calling(r) as caller:
        await caller.send(f"POST {path} HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(3):
            await caller.send(b"3e8\r\n" + b"a" * 1000 + b"\r\n")
        got = await caller.until(b"request_too_large")
    assert got.startswith(b"HTTP/1.1 413 ")


async def test_a_chunked_body_within_the_limit_is_read_whole(r):
    body = json.dumps(ASKED).encode()
    async with calling(r) as caller:
        await caller.send(f"POST {CHAT} HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for byte in body:
            await caller.send(b"1\r\n%c\r\n" % byte)
        await caller.send(b"0\r\n\r\n")
        got = await caller.until(b"Hello from the fake.")
    assert got.startswith(b"HTTP/1.1 200 ")


BAD_BODIES = {
    "empty": b"",
    "not JSON": b"hello",
    "cut off": b'{"model": "m", "messages": [',
    "trailing": b'{"model": "m", "messages": []} extra',
    "a list": b"[]",
    "a string": b'"text"',
    "null": b"null",
    "a number": b"5",
    "NaN": b'{"model": "m", "messages": [], "temperature": NaN}',
    "too deep": b'{"model": "m", "messages": ' + b"[" * 900 + b"]" * 900 + b"}",
    "too deep in an unknown field": b'{"model": "m", "messages": [], "x": ' + b"[" * 900 + b"]" * 900 + b"}",
    "too deep in options": b'{"model":"m","messages":[{"role":"user"}],"options":' + b"[" * 900 + b"]" * 900 + b"}",
    "invalid UTF-8": b'{"model": "m", "messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "invalid UTF-8 in the model": b'{"model": "\xff", "messages": [{"role": "user", "content": "a"}]}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a lone surrogate": b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}',
    "no model": json.dumps({"messages": HELLO}).encode(),
    "no messages": b'{"model": "m"}',
    "messages of the wrong type": b'{"model": "m", "messages": "hello"}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
@pytest.mark.parametrize("path", [CHAT, "/v1/embeddings"])
async def test_a_body_that_cannot_be_read_is_a_400(r, fake, path, body):
    response = await r.client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert error_of(response)["type"] == "invalid_request_error"
    assert fake.requests == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_the_content_type_does_not_matter(r, kind):
    response = await r.client.post(CHAT, content=json.dumps(ASKED), headers={"Content-Type": kind})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", CHAT), ("PUT", CHAT), ("DELETE", "/v1/models"), ("POST", "/health")]
)
async def test_the_wrong_method_is_a_405(r, method, path):
    response = await r.client.request(method, path)
    assert (response.status_code, error_of(response)["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/v1", "/v1/nothing", "/v2/chat/completions", "/%ff", "/v1/chat/completions/x"])
async def test_an_unknown_route_is_a_404(r, path):
    response = await r.client.post(path, json={})
    assert (response.status_code, error_of(response)["code"]) == (404, "unknown_route")


async def test_an_http_1_0_client_gets_its_answer_and_an_end(r):
    async with calling(r, body=ASKED, version="1.0") as caller:
        got = await caller.rest()
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.endswith(b"}")


async def test_an_http_1_0_client_gets_its_stream_and_an_end(r):
    async with calling(r, body={**ASKED, "stream": True}, version="1.0") as caller:
        got = await caller.rest()
    assert b"data: [DONE]" in got
    assert b"connection: close" in got


PAGE = "https://page.example"


@pytest.fixture
async def shared(fake) -> AsyncIterator[RunningRouter]:
    """A router that a page may call, with a key."""
    config = {
        "backends": backends({"desk": fake}),
        "server": {"cors_origins": [PAGE]},
        "auth": {"api_keys": [KEY]},
    }
    async with running(config) as r:
        yield r


ASKING_FIRST = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


async def test_a_preflight_of_an_allowed_page_needs_no_key(shared):
    response = await shared.client.options(CHAT, headers={"Origin": PAGE, **ASKING_FIRST})
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in response.headers["access-control-allow-headers"].lower()


async def test_a_preflight_of_another_page_is_refused(shared):
    response = await shared.client.options(CHAT, headers={"Origin": "https://evil.example", **ASKING_FIRST})
    assert response.status_code == 400
    assert response.headers.get("access-control-allow-origin") not in {"*", "https://evil.example"}


@pytest.mark.parametrize("stream", [False, True])
async def test_an_allowed_page_may_read_answers_and_their_headers(shared, stream):
    headers = {"Origin": PAGE, "x-api-key": KEY}
    response = await shared.client.post(CHAT, json={**ASKED, "stream": stream}, headers=headers)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "x-turnout-backend" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [(CHAT, {}, 401), ("/v1/nothing", {"x-api-key": KEY}, 404), ("/v1/models", {"x-api-key": KEY}, 405)],
)
async def test_an_allowed_page_may_read_errors(shared, path, headers, status):
    response = await shared.client.post(path, json={}, headers={"Origin": PAGE, **headers})
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == PAGE


async def test_another_page_may_read_nothing(shared):
    headers = {"Origin": "https://evil.example", "x-api-key": KEY}
    response = await shared.client.post(CHAT, json=ASKED, headers=headers)
    assert "access-control-allow-origin" not in response.headers


async def test_cors_is_off_by_default(r):
    response = await r.client.post(CHAT, json=ASKED, headers={"Origin": PAGE})
    preflight = await r.client.options(CHAT, headers={"Origin": PAGE, **ASKING_FIRST})
    for answer in (response, preflight):
        assert not [name for name in answer.headers if name.startswith("access-control-")]

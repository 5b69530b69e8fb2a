"""The router connects to the backends of its settings and to nothing else, whatever a caller or a backend says.

CVE-2024-6587, CVE-2025-66405, CVE-2026-110719, CVE-2026-55245, CVE-2026-45401 and PYSEC-2026-4070 of other gateways.
"""

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fakes import Scripted
from tests.security.conftest import BACKEND_KEY, HEADER_KEY, Place
from tests.surfaces.asking import CHAT

pytestmark = pytest.mark.anyio

EMBED = "/v1/embeddings"


def _chat(content: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


async def test_the_trap_notices_a_visitor(place: Place) -> None:
    assert place.is_quiet
    await place.r.client.get(f"{place.trap.url}/cat.png")
    assert not place.is_quiet


ADDRESSES = {
    "plain": "http://127.0.0.1:{port}/cat.png",
    "by name": "http://localhost:{port}/cat.png",
    "upper case": "HTTP://LOCALHOST:{port}/cat.png",
    "decimal": "http://2130706433:{port}/cat.png",
    "octal": "http://0177.0.0.1:{port}/cat.png",
    "short": "http://127.1:{port}/cat.png",
    "any": "http://0.0.0.0:{port}/cat.png",
    "mapped": "http://[::ffff:127.0.0.1]:{port}/cat.png",
    "6to4": "http://[2002:7f00:1::]:{port}/cat.png",
    "NAT64": "http://[64:ff9b::7f00:1]:{port}/cat.png",
    "with a user": "http://images.example@127.0.0.1:{port}/cat.png",
    "without a scheme": "//127.0.0.1:{port}/cat.png",
    "a backslash": "http:\\\\127.0.0.1:{port}\\cat.png",
    "data that is an address": "data:image/png,http://127.0.0.1:{port}/cat.png",
    "base64 that is an address": "data:image/png;base64,http://127.0.0.1:{port}/cat.png",
    "a file": "file:///etc/hostname",
}
PARTS = {
    "image_url": lambda url: {"type": "image_url", "image_url": {"url": url}},
    "image_url as text": lambda url: {"type": "image_url", "image_url": url},
    "input_image": lambda url: {"type": "input_image", "image_url": url},
    "file": lambda url: {"type": "file", "file": {"file_url": url}},
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("address", ADDRESSES)
async def test_the_router_never_fetches_an_image(place: Place, address: str, part: str) -> None:
    url = ADDRESSES[address].format(port=place.trap.port)
    asked = _chat([{"type": "text", "text": "What is this?"}, PARTS[part](url)])
    response = await place.r.client.post(CHAT, json=asked, headers=place.key)
    assert response.status_code in {200, 400}
    assert place.is_quiet


NAMES = ["api_base", "base_url", "url", "custom_host", "target", "proxy", "endpoint", "api_key", "organization"]


@pytest.mark.parametrize("name", NAMES)
async def test_no_field_and_no_header_leads_to_another_backend(place: Place, name: str) -> None:
    lure = {name: place.trap.url, "litellm_params": {name: place.trap.url}, "options": {name: place.trap.url}}
    dashed = name.replace("_", "-")
    headers = {f"{prefix}{dashed}": place.trap.url for prefix in ("x-", "x-portkey-", "helicone-", "x-turnout-", "")}
    for path, body in ((CHAT, _chat("hi")), (EMBED, {"model": "e", "input": "hi"})):
        await place.r.client.post(path, json={**body, **lure}, headers={**headers, **place.key})
        await place.r.client.post(f"{path}?{name}={place.trap.url}", json=body, headers=place.key)
        await place.r.client.post(path, json={**body, "model": f"{place.trap.url}/m"}, headers=place.key)
    assert place.is_quiet
    assert all(place.trap.url not in request.path for request in place.backend.requests)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [False, True])
async def test_no_redirect_of_a_backend_is_followed(place: Place, status: int, stream: bool) -> None:
    away = Scripted(status=status, headers={"Location": f"{place.trap.url}/v1/chat/completions"}, body=b"")
    for path in ("/api/chat", "/api/embed", "/v1/chat/completions", "/v1/embeddings", "/v1/messages"):
        place.backend.script(path, away)
    for path, body in ((CHAT, _chat("hi", stream=stream)), (EMBED, {"model": "e", "input": "hi"})):
        response = await place.r.client.post(path, json=body, headers=place.key)
        assert response.status_code == 502 or (path == EMBED and place.kind.embedding is None)
        assert str(place.trap.port) not in response.text
    assert place.is_quiet


async def test_no_redirect_of_a_probe_is_followed(place: Place) -> None:
    away = Scripted(status=302, headers={"Location": f"{place.trap.url}/v1/models"}, body=b"")
    for path in ("/api/version", "/api/tags", "/api/ps", "/api/show", "/v1/models", "/health", "/props"):
        place.backend.script(path, away)
    await place.r.looked()
    assert place.is_quiet


async def test_no_proxy_of_the_environment_sees_a_request(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, place.trap.url)
    await place.r.looked()
    response = await place.r.client.post(CHAT, json=_chat("hi"), headers=place.key)
    assert response.status_code == 200
    assert place.is_quiet


async def test_a_backends_headers_stay_with_the_router(place: Place) -> None:
    planted = {"Set-Cookie": "session=planted", "X-Internal": "planted", "Location": "http://planted.example"}
    refusal = Scripted(status=400, headers=planted, body=b'{"error": "no"}')
    for path in ("/api/chat", "/v1/chat/completions", "/v1/messages"):
        place.backend.script(path, refusal)
    for _ in range(2):
        response = await place.r.client.post(CHAT, json=_chat("hi"), headers=place.key)
        assert response.status_code == 400
        assert "planted" not in str(response.headers)
    assert all("cookie" not in request.headers for request in place.backend.requests)


async def test_the_keys_of_a_backend_go_to_that_backend_alone(place: Place) -> None:
    await place.r.client.post(CHAT, json=_chat("hi"), headers=place.key)
    (request,) = place.backend.requests
    assert HEADER_KEY in request.headers["x-secret"]
    assert BACKEND_KEY in str(request.headers)
    assert request.headers["host"] == urlsplit(place.backend.url).netloc
    assert place.is_quiet

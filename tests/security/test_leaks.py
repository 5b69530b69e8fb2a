"""No route, header or log line gives away a key, an address or a prompt.

CVE-2025-11203 (keys in /health) and CVE-2024-9606 (a mask that missed some) of other gateways.
"""

from pathlib import Path

import httpx
import pytest

from router.surfaces.guard import OPEN_PATHS
from tests.e2e.serving import served
from tests.fakes import FakeProcess
from tests.running import NO_TLS
from tests.security.conftest import BACKEND_KEY, CALLER_KEY, HEADER_KEY, SECRETS, Place
from tests.surfaces.asking import CHAT, asked, take_down

pytestmark = pytest.mark.anyio

PROMPT = "planted prompt about my health"
ROUTES = [
    "/", "/health", "/health/live", "/health/ready", "/health?verbose=1&full=true", "/v1/models", "/models",
    "/v1/models/m", "/v1/models/desk%2Fable", "/metrics", "/stats", "/debug", "/debug/vars", "/config", "/settings",
    "/v1/config", "/admin", "/admin/config", "/env", "/.env", "/turnout.yaml", "/schema", "/schema/openapi.json",
    "/openapi.json", "/docs", "/favicon.ico", "/status", "/get/config/callbacks", "/key/info", "/v1/model/info",
    "/health/services", "/..%2fturnout.yaml", "/%2e%2e/turnout.yaml",
]  # fmt: skip


@pytest.mark.parametrize("route", ROUTES)
async def test_no_route_shows_a_secret_or_an_address(place: Place, route: str) -> None:
    await take_down(place.r, "desk")
    for headers in ({}, place.key):
        response = await place.r.client.get(route, headers=headers)
        told = response.text + str(response.headers)
        assert response.status_code in {200, 401, 404, 405, 503}
        for secret in (*SECRETS, str(place.backend.port), "X-Secret"):
            assert secret not in told


def test_only_supervisors_and_readers_of_the_description_need_no_key() -> None:
    assert {"/health/live", "/health/ready", "/docs", "/docs/openapi.json"} == OPEN_PATHS


@pytest.mark.parametrize("route", [route for route in ROUTES if route not in OPEN_PATHS])
async def test_every_route_but_the_open_ones_wants_a_key(place: Place, route: str) -> None:
    assert (await place.r.client.get(route)).status_code in {401, 404}


BYPASSES = [
    {"X-Original-URL": "/health/live"},
    {"X-Rewrite-URL": "/health/live"},
    {"X-Forwarded-Prefix": "/health/live"},
    {"X-Forwarded-Host": "127.0.0.1"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1;host=localhost"},
    {"X-Real-IP": "127.0.0.1"},
    {"X-HTTP-Method-Override": "OPTIONS"},
    {"Origin": "http://localhost"},
    {"Host": "localhost"},
    {"Host": "localhost/health/live?"},
    {"Upgrade": "websocket", "Connection": "Upgrade"},
]


@pytest.mark.parametrize("headers", BYPASSES, ids=str)
async def test_no_header_stands_in_for_a_key(place: Place, headers: dict[str, str]) -> None:
    for response in (
        await place.r.client.get("/v1/models", headers=headers),
        await place.r.client.post(CHAT, json=asked("m"), headers=headers),
    ):
        assert response.status_code in {400, 401}
    assert place.backend.requests == []


@pytest.mark.parametrize("model", ["m\r\nSet-Cookie: planted=1", "m\nplanted: 1", "m\x00planted", "m\u2028planted: 1"])
async def test_no_model_name_breaks_out_of_a_header(place: Place, model: str) -> None:
    for name in (model, f"desk/{model}", f"task:{model}"):
        response = await place.r.client.post(CHAT, json=asked(name), headers=place.key)
        assert not {"set-cookie", "planted"} & {header.lower() for header in response.headers}
    hostile = {"X-Turnout-Task": "x\tplanted", **place.key}
    assert (await place.r.client.post(CHAT, json=asked("m"), headers=hostile)).status_code in {200, 404}


async def test_a_log_at_its_most_talkative_holds_no_secret(tmp_path: Path) -> None:
    async with FakeProcess(kind="openai", models=["m"]) as fake:
        desk = {"type": "openai", "url": fake.url, "api_key": BACKEND_KEY, "headers": {"X-Secret": HEADER_KEY}}
        gone = {"type": "openai", "url": "http://127.0.0.1:9", "api_key": BACKEND_KEY, "models": ["m"]}
        config = {
            "server": {"log_level": "debug"},
            "auth": {"api_keys": [CALLER_KEY]},
            "backends": {"desk": desk, "gone": gone},
            "models": {"both": {"targets": ["gone/m", "desk/m"]}},
        }
        with served(tmp_path, config, wait_ready=True) as router:
            await _everything(router.url, fake.url)
            router.terminate()
            log = router.log.read_text(encoding="utf-8")
    assert "Traceback" not in log
    for secret in (*SECRETS, "planted-wrong-key", PROMPT, "planted-in-a-body"):
        assert secret not in log


async def _everything(url: str, fake: str) -> None:
    """Calls that go well, fail and are refused, with keys wherever a client could put one."""
    key = {"Authorization": f"Bearer {CALLER_KEY}"}
    said = {"messages": [{"role": "user", "content": PROMPT}], "user": "planted-in-a-body"}
    async with httpx.AsyncClient(base_url=url, timeout=10, verify=NO_TLS) as client:
        for headers in (key, {"x-api-key": CALLER_KEY}, {"Authorization": "Bearer planted-wrong-key"}, {}):
            await client.get(f"/v1/models?api_key={CALLER_KEY}&key=planted-wrong-key", headers=headers)
            for stream in (False, True):
                await client.post(CHAT, json={"model": "both", "stream": stream, **said}, headers=headers)
        await client.post(CHAT, json={"model": "both", "temperature": PROMPT, **said}, headers=key)
        await client.post(CHAT, content=f'{{"model": "both", {PROMPT}', headers=key)
        for fault in ({"status": 500, "body": f"{PROMPT} {BACKEND_KEY}"}, {"error_at": 2}, {"drop_after": 2}):
            await client.put(f"{fake}/__fake/faults", json=fault)
            for stream in (False, True):
                await client.post(CHAT, json={"model": "desk/m", "stream": stream, **said}, headers=key)

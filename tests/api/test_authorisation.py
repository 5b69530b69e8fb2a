"""Every route of /api, asked by everybody: who may do what."""

import re

import pytest

from router.access.networks import AllowedNetwork, Grant, parse_network
from tests.api.conftest import Office
from tests.surfaces.asking import eventually

pytestmark = pytest.mark.anyio

NEW_KEY = {"user_id": "{ada}", "name": "another"}
ADMIN_ONLY = [
    ("GET", "/api/users", None),
    ("POST", "/api/users", {"name": "carl"}),
    ("PATCH", "/api/users/{ada}", {"enabled": True}),
    ("DELETE", "/api/users/{ada}", None),
    ("POST", "/api/keys", NEW_KEY),
    ("GET", "/api/allowlist", None),
    ("POST", "/api/allowlist", {"network": "10.0.0.0/8", "allows": "call"}),
    ("DELETE", "/api/allowlist/network_0", None),
    ("GET", "/api/backends", None),
    ("POST", "/api/backends", {"name": "lab", "type": "openai", "url": "http://127.0.0.1:9"}),
    ("GET", "/api/backends/status", None),
    ("GET", "/api/backends/desk", None),
    ("PATCH", "/api/backends/backend_0", {"weight": 2}),
    ("DELETE", "/api/backends/backend_0", None),
    ("POST", "/api/backends/desk/test", None),
    ("GET", "/api/backends/desk/models?refresh=true", None),
    ("POST", "/api/backends/desk/select-model", {"model": "fake-chat"}),
    ("GET", "/api/aliases", None),
    ("GET", "/api/preferences?user_id={ada}", None),
    ("PUT", "/api/preferences?user_id={ada}", {}),
]
ONES_OWN = [
    ("GET", "/api/keys", None),
    ("GET", "/api/me", None),
    ("GET", "/api/preferences", None),
    ("PUT", "/api/preferences", {}),
    ("GET", "/api/usage", None),
    ("GET", "/api/requests", None),
]
EVERY = [*ADMIN_ONLY, *ONES_OWN, ("DELETE", "/api/keys/key_0", None)]
FOUND = {200, 201, 204, 404}


def written(office: Office, what):
    if isinstance(what, dict):
        return {name: written(office, value) for name, value in what.items()}
    return what.format(**office.ids) if isinstance(what, str) else what


async def asked(office: Office, route, who: str, **headers: str) -> int:
    method, path, body = route
    sent = {**office.keys[who], **headers}
    response = await office.r.client.request(
        method, written(office, path), json=written(office, body) if body is not None else None, headers=sent
    )
    if response.status_code >= 400:
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    return response.status_code


def named(route) -> str:
    return f"{route[0]} {route[1]}"


@pytest.mark.parametrize("route", EVERY, ids=named)
@pytest.mark.parametrize("who", ["nobody", "wrong", "expired"])
async def test_without_a_valid_key_nothing_is_told(office, route, who):
    assert await asked(office, route, who) == 401


@pytest.mark.parametrize("route", ADMIN_ONLY, ids=named)
async def test_what_concerns_everybody_is_for_admins(office, route):
    assert await asked(office, route, "bob") == 403
    assert await asked(office, route, "admin") in FOUND


@pytest.mark.parametrize("route", ONES_OWN, ids=named)
async def test_what_is_ones_own_is_for_everybody_with_a_key(office, route):
    assert await asked(office, route, "ada") == 200
    assert await asked(office, route, "admin") == 200


@pytest.mark.parametrize("route", EVERY, ids=named)
async def test_a_network_that_may_call_without_a_key_may_not_look_here(office, route):
    await office.stored.networks.add(AllowedNetwork(parse_network("127.0.0.0/8"), Grant.CALL))
    assert await asked(office, route, "nobody") == 401


@pytest.mark.parametrize("route", EVERY, ids=named)
async def test_an_admin_elsewhere_than_admins_may_be_is_refused(office, route):
    await office.stored.networks.add(AllowedNetwork(parse_network("10.1.0.0/16"), Grant.ADMIN))
    status = await asked(office, route, "admin", **{"X-Forwarded-For": "10.2.0.1"})
    is_about_oneself = route[1] in {"/api/me", "/api/preferences"}
    assert status == (200 if is_about_oneself else 403)
    assert await asked(office, route, "admin", **{"X-Forwarded-For": "10.1.0.1"}) in FOUND


async def test_every_route_of_the_description_is_tried_here(office):
    paths = (await office.r.client.get("/docs/openapi.json")).json()["paths"]
    described = {(method.upper(), path.split("/{")[0]) for path, methods in paths.items() for method in methods}
    tried = {(method, re.split(r"\?|/\{|/network_0|/key_0|/backend_0|/desk", path)[0]) for method, path, _ in EVERY}
    assert described == tried


async def test_a_user_sees_and_revokes_own_keys_only(office):
    own = (await office.ask("GET", "/api/keys", "ada")).json()
    assert [key["id"] for key in own] == [office.ids["ada key"]]
    assert (await office.ask("GET", f"/api/keys?user_id={office.ids['bob']}", "ada")).json() == []
    assert (await office.ask("DELETE", f"/api/keys/{office.ids['bob key']}", "ada")).status_code == 404
    assert (await office.ask("GET", "/api/me", "bob")).status_code == 200
    assert (await office.ask("DELETE", f"/api/keys/{office.ids['ada key']}", "ada")).status_code == 204
    assert (await office.ask("GET", "/api/me", "ada")).status_code == 401


async def test_a_user_sees_own_usage_only(office):
    body = {"model": "coder", "messages": [{"role": "user", "content": "hello"}]}
    for who in ("ada", "bob", "bob"):
        assert (await office.ask("POST", "/v1/chat/completions", who, json=body)).status_code == 200
    await eventually(lambda: office.r.router.storage.state.written == 3)
    seen = {who: (await office.ask("GET", "/api/usage?by=user", who)).json()["totals"] for who in ("ada", "admin")}
    assert {total["name"]: total["requests"] for total in seen["ada"]} == {"ada": 1}
    assert {total["name"]: total["requests"] for total in seen["admin"]} == {"ada": 1, "bob": 2}
    assert len((await office.ask("GET", "/api/requests", "ada")).json()) == 1
    assert len((await office.ask("GET", "/api/requests?limit=2", "admin")).json()) == 2

"""What the routes of /api do, for those who may use them."""

import csv

import pytest

from tests.api.conftest import Office
from tests.running import running
from tests.surfaces.asking import asked, backends, error_of, eventually

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


async def test_a_user_is_added_given_a_key_switched_off_and_removed(office: Office):
    added = await office.ask("POST", "/api/users", json={"name": "Zoë"})
    user = added.json()
    assert (added.status_code, user["name"], user["enabled"]) == (201, "Zoë", True)
    made = await office.ask("POST", "/api/keys", json={"user_id": user["id"], "name": "phone", "models": ["coder"]})
    key = made.json()
    assert (made.status_code, key["key"].startswith("sk-turnout-")) == (201, True)
    headers = {"x-api-key": key["key"]}
    client = office.r.client
    assert (await client.post(CHAT, json=asked("coder"), headers=headers)).status_code == 200
    assert (await client.post(CHAT, json=asked("desk/fake-chat"), headers=headers)).status_code == 403
    await office.ask("PATCH", f"/api/users/{user['id']}", json={"enabled": False})
    assert (await client.post(CHAT, json=asked("coder"), headers=headers)).status_code == 401
    assert (await office.ask("DELETE", f"/api/users/{user['id']}")).status_code == 204
    assert user["id"] not in [each["id"] for each in (await office.ask("GET", "/api/users")).json()]


async def test_a_key_is_shown_once(office):
    body = {"user_id": office.ids["ada"], "name": "phone", "priority": "batch", "tokens_per_day": 5}
    secret = (await office.ask("POST", "/api/keys", json=body)).json()["key"]
    listed = await office.ask("GET", f"/api/keys?user_id={office.ids['ada']}")
    assert secret not in listed.text
    (key,) = [each for each in listed.json() if each["name"] == "phone"]
    assert (key["priority"], key["tokens_per_day"], key["revoked_at"]) == ("batch", 5, None)
    assert secret.startswith(key["prefix"])


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/api/users", {"name": ""}, "name"),
        ("/api/users", {"name": "a\nb"}, "name"),
        ("/api/users", {"name": "a", "planted-field": 1}, "planted-field"),
        ("/api/keys", {"user_id": "u", "name": "n", "scopes": ["everything"]}, "scopes"),
        ("/api/keys", {"user_id": "u", "name": "n", "requests_per_minute": 0}, "requests_per_minute"),
        ("/api/allowlist", {"network": "planted-value", "allows": "call"}, "network"),
        ("/api/allowlist", {"network": "10.0.0.1/8", "allows": "call"}, "network"),
    ],
)
async def test_a_body_that_is_wrong_is_told_field_by_field_without_its_values(office, path, body, told):
    response = await office.ask("POST", path, json=body)
    assert response.status_code == 400
    assert told in error_of(response)["message"]
    assert "planted-value" not in response.text


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"name": "\xff"}'])
async def test_a_body_that_is_no_document_is_a_400(office, content):
    response = await office.ask("POST", "/api/users", content=content)
    assert response.status_code == 400
    error_of(response)


async def test_what_is_there_already_is_a_409_and_what_is_not_there_a_404(office):
    assert (await office.ask("POST", "/api/users", json={"name": "ada"})).status_code == 409
    body = {"user_id": "user_0", "name": "n"}
    assert (await office.ask("POST", "/api/keys", json=body)).status_code == 404
    assert (await office.ask("PATCH", "/api/users/user_0", json={"enabled": True})).status_code == 404


async def test_nobody_shuts_himself_out(office):
    response = await office.ask("POST", "/api/allowlist", json={"network": "10.0.0.0/8", "allows": "admin"})
    assert response.status_code == 400
    assert "shut you out" in error_of(response)["message"]
    assert (await office.ask("GET", "/api/allowlist")).json() == []
    own = await office.ask("POST", "/api/allowlist", json={"network": "127.0.0.1", "allows": "admin"})
    assert own.json()["network"] == "127.0.0.1/32"
    assert (await office.ask("DELETE", f"/api/allowlist/{own.json()['id']}")).status_code == 204


async def test_preferences_are_ones_own(office):
    wanted = {"default_model": "coder", "default_backend": "", "fallback_to_claude": True, "use_local_for_code": False}
    assert (await office.ask("PUT", "/api/preferences", "ada", json=wanted)).json() == wanted
    assert (await office.ask("GET", "/api/preferences", "ada")).json() == wanted
    assert (await office.ask("GET", f"/api/preferences?user_id={office.ids['ada']}")).json() == wanted
    assert (await office.ask("GET", "/api/preferences", "bob")).json() != wanted


async def test_usage_is_told_as_a_table_too_in_which_nothing_is_a_formula(office):
    await office.ask("POST", "/api/users", json={"name": "=cmd()"})
    users = (await office.ask("GET", "/api/users")).json()
    user_id = next(user["id"] for user in users if user["name"] == "=cmd()")
    secret = (await office.ask("POST", "/api/keys", json={"user_id": user_id, "name": "n"})).json()["key"]
    await office.r.client.post(CHAT, json=asked("coder"), headers={"x-api-key": secret})
    await eventually(lambda: office.r.router.storage.state.written == 1)
    response = await office.ask("GET", "/api/usage?by=user&as=csv")
    assert response.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(response.text.splitlines())
    assert (row["user"], row["requests"], row["errors"]) == ("'=cmd()", "1", "0")
    days = (await office.ask("GET", "/api/usage")).json()
    assert days["totals"][0]["name"] == days["until"]


@pytest.mark.parametrize(
    "query", ["by=moon", "since=yesterday", "until=9999-99-99", "as=xml", "since=0001-01-01", "until=0001-01-01"]
)
async def test_an_odd_question_about_usage_is_no_fault_of_the_router(office, query):
    assert (await office.ask("GET", f"/api/usage?{query}")).status_code in {200, 400}


@pytest.mark.parametrize("limit", ["0", "-1", "100000", "many"])
async def test_more_requests_than_there_may_be_are_refused(office, limit):
    assert (await office.ask("GET", f"/api/requests?limit={limit}")).status_code == 400


async def test_the_description_needs_no_key_and_loads_nothing_from_elsewhere(office):
    page = await office.r.client.get("/docs")
    described = await office.r.client.get("/docs/openapi.json")
    assert (page.status_code, described.status_code) == (200, 200)
    assert "/api/users/{user_id}" in page.text
    assert "://" not in page.text
    assert not [path for path in described.json()["paths"] if not path.startswith("/api/")]


async def test_without_a_database_the_api_says_so(fake):
    auth = {"api_keys": [{"key": "key-of-an-admin", "scopes": ["admin"]}]}
    async with running({"backends": backends({"desk": fake}), "auth": auth}) as r:
        response = await r.client.get("/api/users", headers={"x-api-key": "key-of-an-admin"})
    assert (response.status_code, error_of(response)["code"]) == (503, "storage_unavailable")

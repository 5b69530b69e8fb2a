"""What users see of each other over /api; `test_matrix` says who gets past the door."""

import pytest

from tests.surfaces.asking import eventually

pytestmark = pytest.mark.anyio


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

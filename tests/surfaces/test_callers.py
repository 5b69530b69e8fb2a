"""Who may call, over HTTP: keys of the settings and of the database, networks, scopes, models and limits."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from router.access.keys import NewKey
from router.access.networks import AllowedNetwork, Grant, parse_network
from router.access.principal import Allowance, Scope
from router.keeping import keeping_of
from router.settings import Settings
from router.storage.api_keys import KeyTerms
from tests.fakes import FakeBackend
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, error_of, eventually

pytestmark = pytest.mark.anyio

WRITTEN = "key-of-the-file-1"
ASKED = asked("desk/fake-chat")
EMBED = "/v1/embeddings"


@pytest.fixture
async def fake(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai") as fake:
        yield fake


def kept(fake: FakeBackend, folder: Path, **more: Any) -> dict[str, Any]:
    """Settings with a database in a folder."""
    return {
        "backends": backends({"desk": fake}),
        "models": alias("coder", "desk/fake-chat"),
        "server": {"data_dir": str(folder)},
        **more,
    }


@pytest.fixture
async def r(fake, tmp_path) -> AsyncIterator[RunningRouter]:
    async with running(kept(fake, tmp_path)) as r:
        await r.router.storage.opened.wait()
        yield r


async def made(r: RunningRouter, user: str = "ada", **terms: Any) -> dict[str, str]:
    """Headers with a new key of a new user."""
    stored = r.router.storage.stored
    owner = await stored.users.add(user)
    key = await stored.keys.create(owner.id, KeyTerms(name="laptop", **terms))
    return {"Authorization": f"Bearer {key.secret}"}


async def status(r: RunningRouter, headers: dict[str, str] | None = None, path: str = CHAT, **body: Any) -> int:
    return (await r.client.post(path, json={**ASKED, **body}, headers=headers)).status_code


async def test_the_first_key_for_more_than_administering_closes_the_door_at_once(r):
    assert await status(r) == 200
    headers = await made(r)
    assert await status(r) == 401
    assert await status(r, {"x-api-key": "sk-turnout-wrong"}) == 401
    assert await status(r, headers) == 200


async def test_the_first_start_gives_a_key_that_leaves_the_door_open(fake, tmp_path):
    given: list[NewKey] = []
    config = kept(fake, tmp_path)
    keeping = keeping_of(Settings.model_validate(config), given.append)
    async with running(config, keeping=keeping) as r:
        await r.router.storage.opened.wait()
        (key,) = given
        assert await status(r) == 200
        assert await status(r, {"x-api-key": key.secret}) == 200
    again = keeping_of(Settings.model_validate(config), given.append)
    async with running(config, keeping=again) as r:
        await r.router.storage.opened.wait()
        assert given == [key]


async def test_after_a_restart_nobody_gets_in_before_the_keys_are_read(fake, tmp_path):
    config = kept(fake, tmp_path)
    async with running(config) as r:
        await r.router.storage.opened.wait()
        headers = await made(r)
    async with running(config) as r:
        response = await r.client.post(CHAT, json=ASKED)
        assert response.status_code in {401, 503}
        await r.router.storage.opened.wait()
        assert await status(r) == 401
        assert await status(r, headers) == 200


async def test_keys_of_the_file_and_of_the_database_count_beside_each_other(fake, tmp_path):
    async with running(kept(fake, tmp_path, auth={"api_keys": [WRITTEN]})) as r:
        assert await status(r, {"x-api-key": WRITTEN}) == 200
        assert await status(r) == 401
        await r.router.storage.opened.wait()
        assert await status(r, await made(r)) == 200
        assert await status(r, {"x-api-key": WRITTEN}) == 200


async def test_where_keys_are_required_nobody_gets_in_without_one(fake, tmp_path):
    async with running(kept(fake, tmp_path, auth={"required": True})) as r:
        await r.router.storage.opened.wait()
        assert await status(r) == 401


async def test_a_key_that_is_revoked_is_refused_with_the_next_request_and_the_door_stays_shut(r):
    headers = await made(r)
    stored = r.router.storage.stored
    (key,) = await stored.keys.all()
    await stored.keys.revoke(key.id)
    assert await status(r, headers) == 401
    assert await status(r) == 401


async def test_an_expired_key_is_told_so(r):
    headers = await made(r, expires_at=1.0)
    response = await r.client.post(CHAT, json=ASKED, headers=headers)
    assert (response.status_code, error_of(response)["code"]) == (401, "expired_api_key")


@pytest.mark.parametrize(
    ("scopes", "chat", "embed"), [({Scope.CHAT}, 200, 403), ({Scope.EMBED}, 403, 200), ({Scope.ADMIN}, 403, 403)]
)
async def test_a_key_is_good_for_its_scopes_only(r, scopes, chat, embed):
    await made(r, "somebody")
    headers = await made(r, scopes=frozenset(scopes))
    assert await status(r, headers) == chat
    body = {"model": "desk/fake-embed", "input": "a"}
    assert (await r.client.post(EMBED, json=body, headers=headers)).status_code == embed


@pytest.mark.parametrize(
    ("models", "model", "wanted"),
    [
        (("coder",), "coder", 200),
        (("coder",), "desk/fake-chat", 403),
        (("desk/*",), "coder", 200),
        (("fake-chat",), "desk/fake-chat", 200),
        (("desk/*",), "auto", 200),
        (("auto",), "auto", 403),
        (("nobody-has-this",), "nobody-has-this", 403),
        ((), "coder", 403),
    ],
)
async def test_a_key_may_use_what_it_names_by_whatever_way_it_is_asked_for(fake, tmp_path, models, model, wanted):
    config = kept(fake, tmp_path, routing={"default_model": "desk/fake-chat"})
    async with running(config) as r:
        await r.router.storage.opened.wait()
        headers = await made(r, models=models)
        response = await r.client.post(CHAT, json=asked(model), headers=headers)
        assert response.status_code == wanted
        if wanted == 403:
            assert error_of(response)["code"] == "model_not_allowed"
            assert fake.requests == []


async def test_requests_a_minute_are_limited_and_the_headers_say_so(r, fake):
    headers = await made(r, allowance=Allowance(requests_per_minute=2))
    first = await r.client.post(CHAT, json=ASKED, headers=headers)
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    stream = await r.client.post(CHAT, json={**ASKED, "stream": True}, headers=headers)
    assert stream.headers["x-ratelimit-remaining-requests"] == "0"
    refused = await r.client.post(CHAT, json=ASKED, headers=headers)
    assert (refused.status_code, error_of(refused)["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert len(fake.requests) == 2


async def test_what_a_request_took_replaces_what_was_set_aside(r):
    headers = await made(r, allowance=Allowance(tokens_per_minute=10_000))
    response = await r.client.post(CHAT, json={**ASKED, "max_tokens": 5_000}, headers=headers)
    assert int(response.headers["x-ratelimit-remaining-tokens"]) < 5_100
    used = response.json()["usage"]["total_tokens"]
    after = await r.client.post(CHAT, json={**ASKED, "max_tokens": 1}, headers=headers)
    assert int(after.headers["x-ratelimit-remaining-tokens"]) > 10_000 - used - 100


async def test_a_daily_budget_that_is_spent_is_insufficient_quota(r):
    headers = await made(r, allowance=Allowance(tokens_per_day=5))
    assert await status(r, headers) == 200
    refused = await r.client.post(CHAT, json=ASKED, headers=headers)
    assert (refused.status_code, error_of(refused)["code"]) == (429, "insufficient_quota")
    assert int(refused.headers["retry-after"]) <= 86_400


async def test_a_network_on_the_list_needs_no_key(r):
    await made(r)
    assert await status(r) == 401
    await r.router.storage.stored.networks.add(AllowedNetwork(parse_network("127.0.0.0/8"), Grant.CALL))
    assert await status(r) == 200
    assert await status(r, {"x-api-key": "anything"}) == 200


@pytest.mark.parametrize(("proxies", "wanted"), [([], 401), (["127.0.0.1"], 200)])
async def test_where_a_caller_is_counts_only_from_a_trusted_proxy(fake, tmp_path, proxies, wanted):
    async with running(kept(fake, tmp_path, auth={"trusted_proxies": proxies})) as r:
        await r.router.storage.opened.wait()
        await made(r)
        await r.router.storage.stored.networks.add(AllowedNetwork(parse_network("10.1.0.0/16"), Grant.CALL))
        assert await status(r, {"X-Forwarded-For": "10.1.2.3"}) == wanted
        assert await status(r, {"X-Forwarded-For": "10.1.2.3, 10.2.0.1"}) == 401


async def test_what_was_used_is_on_record_with_its_key(r):
    headers = await made(r)
    await status(r, headers)
    storage = r.router.storage
    await eventually(lambda: storage.state.written == 1)
    (used,) = await storage.stored.usage.latest(10)
    (key,) = await storage.stored.keys.all()
    assert (used.key_id, used.backend, used.model, used.status) == (key.id, "desk", "fake-chat", 200)


async def test_what_was_used_before_the_database_was_open_is_written_too(fake, tmp_path):
    config = kept(fake, tmp_path)
    async with running(config) as r:
        assert await status(r) == 200
    async with running(config) as r:
        await r.router.storage.opened.wait()
        assert await r.router.storage.stored.usage.count() == 1


async def test_draining_a_backend_needs_an_admin_where_keys_are_asked(r):
    path = "/v1/router/backends/desk/drain"
    assert (await r.client.post(path)).status_code == 200
    plain = await made(r)
    admin = await made(r, "root", scopes=frozenset({Scope.ADMIN}))
    assert [(await r.client.post(path, headers=each)).status_code for each in ({}, plain, admin)] == [401, 403, 200]


async def test_a_database_that_cannot_be_used_stops_no_answer_and_health_says_so(fake, tmp_path):
    (tmp_path / "turnout.db").write_bytes(b"this is no database, but something else" * 100)
    async with running(kept(fake, tmp_path, auth={"api_keys": [WRITTEN]}), headers={"x-api-key": WRITTEN}) as r:
        await r.router.storage.opened.wait()
        assert await status(r) == 200
        health = await r.client.get("/health")
        metrics = (await r.client.get("/metrics")).text
    assert (health.status_code, health.json()["status"]) == (503, "degraded")
    assert health.json()["storage"]["last_error"] == "the file of the database is damaged"
    assert str(tmp_path) not in health.text
    assert "turnout_storage_up 0.0" in metrics
    assert "turnout_usage_records_waiting 1.0" in metrics


async def test_without_a_data_folder_there_is_no_database(fake):
    async with running({"backends": backends({"desk": fake})}) as r:
        assert r.router.storage is None
        assert (await r.client.get("/health")).json()["storage"] is None

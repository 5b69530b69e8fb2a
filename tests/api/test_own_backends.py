"""`/api/me/backends`, and `/api/backends` with `user_id`: what belongs to one user alone."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from router.access.principal import Scope
from router.backends.changes import MAX_PRIVATE
from router.settings import Settings
from router.storage.values import BackendDefinition, KeyTerms
from tests.api.conftest import Office
from tests.fakes import FakeBackend, FakeModel
from tests.running import running
from tests.surfaces.asking import CHAT, asked, backends, error_of, eventually

pytestmark = pytest.mark.anyio

MINE = "/api/me/backends"
SECRET = "planted-own-secret"


@pytest.fixture
async def laptop(anyio_backend) -> AsyncIterator[FakeBackend]:
    models = [FakeModel("small"), FakeModel("big")]
    async with FakeBackend(models, flavour="openai", reply="I am the laptop.") as laptop:
        yield laptop


@pytest.fixture
async def elsewhere(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai") as elsewhere:
        yield elsewhere


def new(laptop: FakeBackend, **more: object) -> dict[str, object]:
    return {"name": "laptop", "type": "openai", "url": laptop.url, "api_key": SECRET, **more}


async def added(office: Office, laptop: FakeBackend, who: str = "ada", **more: object) -> str:
    response = await office.ask("POST", MINE, who, json=new(laptop, **more))
    assert response.status_code == 201, response.text
    return response.json()["id"]


async def up(office: Office, who: str = "ada") -> None:
    async with asyncio.timeout(15):
        while [each["state"] for each in (await office.ask("GET", f"{MINE}/status", who)).json()] != ["up"]:
            await asyncio.sleep(0.01)


async def allow(office: Office, *, allowed: bool) -> None:
    """As a change of the settings file would."""
    reload = office.r.router.reload
    document = reload.written.model_dump(exclude_unset=True)
    auth = {**document.get("auth", {}), "private_backends": allowed}
    assert reload.apply(Settings.model_validate({**document, "auth": auth}))


async def test_a_user_adds_changes_tests_selects_and_removes_what_is_used_by_nobody_else(office: Office, laptop):
    mine = f"{MINE}/{await added(office, laptop)}"
    await up(office)
    shown = await office.ask("GET", mine, "ada")
    report = shown.json()
    assert (report["name"], report["source"], report["user_id"]) == ("laptop", "database", office.ids["ada"])
    assert (report["has_api_key"], report["state"], SECRET in shown.text) == (True, "up", False)
    answer = await office.ask("POST", CHAT, "ada", json=asked("laptop/small"))
    assert answer.json()["choices"][0]["message"]["content"] == "I am the laptop."
    assert laptop.requests[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert (await office.ask("POST", CHAT, "bob", json=asked("laptop/small"))).status_code == 404
    assert (await office.ask("POST", f"{mine}/test", "ada")).json()["connected"] is True
    found = (await office.ask("GET", f"{mine}/models?refresh=true", "ada")).json()
    assert [model["name"] for model in found] == ["small", "big"]
    assert (await office.ask("PATCH", mine, "ada", json={"max_parallel": 3})).json()["options"] == {"max_parallel": 3}
    chosen = await office.ask("POST", f"{mine}/select-model", "ada", json={"model": "big"})
    assert (chosen.status_code, chosen.json()["selected_model"]) == (200, "big")
    assert (await office.ask("DELETE", mine, "ada")).json()["in_flight"] == 0
    assert (await office.ask("GET", MINE, "ada")).json() == []
    assert (await office.ask("POST", CHAT, "ada", json=asked("laptop/small"))).status_code == 404


async def test_the_selected_model_of_ones_own_preferred_backend_answers(office: Office, laptop):
    backend_id = await added(office, laptop)
    await up(office)
    await office.ask("PUT", "/api/preferences", "ada", json={"default_backend": "laptop"})
    await office.ask("POST", f"{MINE}/{backend_id}/select-model", "ada", json={"model": "big"})
    answer = await office.ask("POST", CHAT, "ada", json=asked("auto"))
    assert answer.headers["x-turnout-model"] == "big"
    assert answer.headers["x-turnout-reason"] == "preferred backend laptop, its selected model"


@pytest.mark.parametrize("who", ["bob", "admin"])
async def test_one_users_are_out_of_reach_for_another(office: Office, laptop, who):
    backend_id = await added(office, laptop)
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {"weight": 2}),
        ("DELETE", "", None),
        ("POST", "/test", None),
        ("GET", "/models", None),
        ("POST", "/select-model", {"model": "small"}),
    ):
        refused = await office.ask(method, f"{MINE}/{backend_id}{rest}", who, json=body)
        unknown = await office.ask(method, f"{MINE}/backend_0{rest}", who, json=body)
        assert (refused.status_code, error_of(refused)["message"]) == (404, error_of(unknown)["message"]), method
    for path in (MINE, f"{MINE}/status"):
        assert (await office.ask("GET", path, who)).json() == []
    assert (await office.ask("GET", f"{MINE}/{backend_id}", "ada")).json()["options"] == {}


async def test_what_is_everybodys_is_not_ones_own(office: Office, laptop):
    shared = (await office.ask("POST", "/api/backends", json=new(laptop))).json()["id"]
    for backend_id in ("desk", shared):
        for method, body in (("GET", None), ("PATCH", {"weight": 2}), ("DELETE", None)):
            assert (await office.ask(method, f"{MINE}/{backend_id}", "ada", json=body)).status_code == 404
    assert (await office.ask("GET", f"/api/backends/{shared}")).json()["options"] == {}


async def test_the_file_is_never_written(filed: Office, laptop, tmp_path):
    before = (tmp_path / "turnout.yaml").read_bytes()
    await allow(filed, allowed=True)
    made = await filed.ask("POST", f"{MINE}?write_file=true", "ada", json=new(laptop))
    assert (made.status_code, made.json()["source"]) == (201, "database")
    mine = f"{MINE}/{made.json()['id']}"
    for method, body in (("PATCH", {"weight": 2}), ("DELETE", None)):
        assert (await filed.ask(method, f"{mine}?write_file=true", "ada", json=body)).status_code == 200
    query = f"write_file=true&user_id={filed.ids['ada']}"
    refused = await filed.ask("POST", f"/api/backends?{query}", json=new(laptop))
    assert (refused.status_code, error_of(refused)["param"]) == (400, "write_file")
    assert (tmp_path / "turnout.yaml").read_bytes() == before


async def test_unless_the_settings_allow_it_no_user_names_an_address(office: Office, laptop):
    assert Settings.model_validate({}).auth.private_backends is False
    mine = f"{MINE}/{await added(office, laptop)}"
    await allow(office, allowed=False)
    for method, path, body in (
        ("POST", MINE, new(laptop, name="more")),
        ("PATCH", mine, {"url": "http://127.0.0.1:9"}),
    ):
        for who in ("ada", "admin"):
            refused = await office.ask(method, path, who, json=body)
            assert (refused.status_code, "auth.private_backends" in error_of(refused)["message"]) == (403, True)
    assert (await office.ask("POST", f"{mine}/test", "ada")).json()["connected"] is True
    assert (await office.ask("GET", f"{mine}/models", "ada")).status_code == 200
    assert [each["name"] for each in (await office.ask("GET", MINE, "ada")).json()] == ["laptop"]
    assert (await office.ask("DELETE", mine, "ada")).status_code == 200


async def test_an_admin_manages_a_users_backends_also_where_users_may_not(office: Office, laptop):
    await allow(office, allowed=False)
    whose = f"?user_id={office.ids['ada']}"
    made = await office.ask("POST", f"/api/backends{whose}", json=new(laptop))
    assert (made.status_code, made.json()["user_id"]) == (201, office.ids["ada"]), made.text
    backend_id = made.json()["id"]
    await up(office)
    assert [each["id"] for each in (await office.ask("GET", f"/api/backends{whose}")).json()] == [backend_id]
    assert [each["state"] for each in (await office.ask("GET", f"/api/backends/status{whose}")).json()] == ["up"]
    assert [each["name"] for each in (await office.ask("GET", "/api/backends")).json()] == ["desk"]
    one = f"/api/backends/{backend_id}"
    assert (await office.ask("GET", one)).json()["state"] == "up"
    assert (await office.ask("POST", f"{one}/test")).json()["connected"] is True
    assert len((await office.ask("GET", f"{one}/models")).json()) == 2
    assert (await office.ask("POST", f"{one}/select-model", json={"model": "big"})).json()["selected_model"] == "big"
    assert (await office.ask("PATCH", one, json={"weight": 2})).json()["options"] == {"weight": 2}
    assert (await office.ask("POST", CHAT, "ada", json=asked("laptop/small"))).status_code == 200
    assert (await office.ask("DELETE", one)).status_code == 200
    unknown = await office.ask("POST", "/api/backends?user_id=user_0", json=new(laptop))
    assert (unknown.status_code, error_of(unknown)["code"]) == (404, "not_found")


async def test_a_secret_that_an_admin_stored_follows_to_no_other_address(office: Office, laptop, elsewhere):
    whose = f"?user_id={office.ids['ada']}"
    made = await office.ask("POST", f"/api/backends{whose}", json=new(laptop, headers={"X-Team": "planted-header"}))
    mine = f"{MINE}/{made.json()['id']}"
    for more in ({}, {"api_key": None}, {"headers": None}, {"headers": {"X-Team": "my-own"}}):
        refused = await office.ask("PATCH", mine, "ada", json={"url": elsewhere.url, **more})
        assert (refused.status_code, "planted" in refused.text) == (400, False), more
    moved = await office.ask("PATCH", mine, "ada", json={"url": elsewhere.url, "api_key": "my-own", "headers": None})
    assert (moved.status_code, moved.json()["header_names"]) == (200, []), moved.text
    assert (await office.ask("POST", CHAT, "ada", json=asked("laptop/fake-chat"))).status_code == 200
    (sent,) = elsewhere.requests
    assert (sent.headers["authorization"], "planted" in str(sent.headers)) == ("Bearer my-own", False)


async def test_nobody_starts_a_command_with_a_backend_of_ones_own(office: Office, laptop):
    launch = {"type": "llama_cpp", "launch": {"model": "m.gguf", "command": "/bin/sh"}}
    mine = f"{MINE}/{await added(office, laptop)}"
    for method, path, who in (
        ("POST", MINE, "ada"),
        ("PATCH", mine, "ada"),
        ("POST", f"/api/backends?user_id={office.ids['ada']}", "admin"),
    ):
        body = {**new(laptop, name="more"), **launch} if method == "POST" else launch
        refused = await office.ask(method, path, who, json=body)
        assert (refused.status_code, "launch" in error_of(refused)["message"]) == (400, True), path
    assert [each["type"] for each in (await office.ask("GET", MINE, "ada")).json()] == ["openai"]


async def test_a_name_is_ones_own_once(office: Office, laptop):
    await added(office, laptop, name="desk")
    await added(office, laptop, "bob", name="desk")
    again = await office.ask("POST", MINE, "ada", json=new(laptop, name="desk"))
    assert (again.status_code, error_of(again)["code"]) == (409, "already_exists")


async def test_there_are_not_endlessly_many(office: Office, laptop):
    definitions = [BackendDefinition(name=f"b{at}", kind="openai", url="http://127.0.0.1:9", enabled=False)
                   for at in range(MAX_PRIVATE)]  # fmt: skip
    for each in definitions[:-1]:
        await office.stored.backends.add(each, owner_id=office.ids["ada"])
    both = await asyncio.gather(
        *(office.ask("POST", MINE, "ada", json=new(laptop, name=name, enabled=False)) for name in ("x", "y"))
    )
    assert sorted(answer.status_code for answer in both) == [201, 409]
    assert (await office.ask("POST", MINE, "bob", json=new(laptop))).status_code == 201


@pytest.mark.parametrize("path", [MINE, "/api/backends"])
async def test_the_router_itself_is_nobodys_backend(fake, tmp_path, path):
    config = {
        "backends": backends({"desk": fake}),
        "server": {"data_dir": str(tmp_path), "ollama_port": 11_999},
        "auth": {"private_backends": True},
    }
    async with running(config) as r:
        await asyncio.wait_for(r.router.storage.opened.wait(), 10)
        key = await _key(r.router.storage.stored)
        refused = await r.client.post(path, json=_at("http://127.0.0.1:11999"), headers=key)
        assert (refused.status_code, error_of(refused)["param"]) == (400, "url")
        made = await r.client.post(path, json=_at("http://127.0.0.1:9"), headers=key)
        moved = {"url": "http://localhost:11999"}
        refused = await r.client.patch(f"{path}/{made.json()['id']}", json=moved, headers=key)
        assert (refused.status_code, error_of(refused)["param"]) == (400, "url")


async def test_a_key_of_the_settings_belongs_to_no_user(fake, tmp_path):
    written = {"x-api-key": "key-of-the-settings"}
    config = {
        "backends": backends({"desk": fake}),
        "server": {"data_dir": str(tmp_path)},
        "auth": {"private_backends": True, "api_keys": [{"key": written["x-api-key"], "scopes": ["chat", "admin"]}]},
    }
    async with running(config) as r:
        await asyncio.wait_for(r.router.storage.opened.wait(), 10)
        for response in (
            await r.client.get(MINE, headers=written),
            await r.client.post(MINE, json=_at("http://127.0.0.1:9"), headers=written),
        ):
            assert (response.status_code, error_of(response)["param"]) == (404, "user_id")


async def test_a_selection_is_there_after_a_restart(office: Office, laptop, fake, tmp_path):
    backend_id = await added(office, laptop)
    await up(office)
    await office.ask("POST", f"{MINE}/{backend_id}/select-model", "ada", json={"model": "big"})
    await office.ask("PUT", "/api/preferences", "ada", json={"default_backend": "laptop"})
    again = {"backends": backends({"desk": fake}), "server": {"data_dir": str(tmp_path)}}
    async with running(again) as r:
        await asyncio.wait_for(r.router.storage.opened.wait(), 10)
        internal = f"laptop@{office.ids['ada']}"
        await eventually(lambda: internal in r.router.fleet.health and r.router.fleet.health[internal].models != ())
        answer: httpx.Response = await r.client.post(CHAT, json=asked("auto"), headers=office.keys["ada"])
        assert answer.headers["x-turnout-reason"] == "preferred backend laptop, its selected model"


def _at(url: str) -> dict[str, object]:
    return {"name": "lab", "type": "openai", "url": url}


async def _key(stored) -> dict[str, str]:
    user = await stored.users.add("eve")
    terms = KeyTerms(name="laptop", scopes=frozenset({Scope.ADMIN}))
    return {"x-api-key": (await stored.keys.create(user.id, terms)).secret}

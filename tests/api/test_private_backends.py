"""Backends that were added at run time: everybody's, and those of one user alone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from router.storage.values import BackendDefinition, StoredBackend
from tests.api.conftest import Office
from tests.fakes import FakeBackend, FakeModel, Faults
from tests.running import running
from tests.surfaces.asking import CHAT, asked, backends, calling, eventually

pytestmark = pytest.mark.anyio

OWN = "own-model"


@pytest.fixture
async def laptop(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend([FakeModel(OWN)], flavour="openai", reply="I am the laptop.") as laptop:
        yield laptop


async def add(office: Office, fake: FakeBackend, *, owner: str | None = None, name: str = "laptop") -> StoredBackend:
    definition = BackendDefinition(name=name, kind=fake.flavour, url=fake.url)
    stored = await office.stored.backends.add(definition, owner_id=owner and office.ids[owner])
    fleet = office.r.router.fleet
    internal = f"{name}@{office.ids[owner]}" if owner else name
    await eventually(lambda: internal in fleet.health and fleet.health[internal].models != ())
    return stored


async def listed(office: Office, who: str) -> list[str]:
    return [model["id"] for model in (await office.ask("GET", "/v1/models", who)).json()["data"]]


async def test_a_backend_that_is_added_for_everybody_serves_everybody(office: Office, laptop):
    await add(office, laptop)
    for who in ("ada", "bob"):
        answer = await office.ask("POST", CHAT, who, json=asked(OWN))
        assert (answer.status_code, answer.headers["x-turnout-backend"]) == (200, "laptop")
        assert OWN in await listed(office, who)


async def test_a_private_backend_serves_its_user_by_its_own_name(office: Office, laptop):
    await add(office, laptop, owner="ada")
    for model in (OWN, f"laptop/{OWN}"):
        answer = await office.ask("POST", CHAT, "ada", json=asked(model))
        assert (answer.status_code, answer.json()["choices"][0]["message"]["content"]) == (200, "I am the laptop.")
    assert OWN in await listed(office, "ada")
    assert (await office.ask("GET", f"/v1/models/{OWN}", "ada")).status_code == 200
    assert (await office.ask("GET", f"/v1/models/laptop/{OWN}", "ada")).status_code == 200


@pytest.mark.parametrize("who", ["bob", "admin"])
async def test_nobody_else_reaches_or_sees_it(office: Office, laptop, who):
    stored = await add(office, laptop, owner="ada")
    internal = f"laptop@{office.ids['ada']}"
    await office.ask("POST", CHAT, "ada", json=asked(OWN))
    if who == "bob":
        for model in (OWN, f"laptop/{OWN}", f"{internal}/{OWN}"):
            for path in (CHAT, "/v1/router/explain"):
                answer = await office.ask("POST", path, who, json=asked(model))
                assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
        hint = (await office.ask("POST", CHAT, who, json=asked("own-modl"))).text
        assert OWN not in hint
        assert "laptop" not in (await office.ask("POST", "/v1/router/explain", who, json=asked("auto"))).text
    for path in ("/v1/models", "/health", "/v1/router/queue", "/metrics"):
        text = (await office.ask("GET", path, who)).text
        assert "laptop" not in text, path
        assert laptop.url not in text, path
        assert stored.id not in text, path
    drained = await office.ask("POST", f"/v1/router/backends/{internal}/drain", "admin")
    assert drained.status_code == 404
    assert "backends: desk" in drained.json()["error"]["message"]


async def test_two_users_may_give_one_name_and_a_shared_one_stays_what_it_is(office: Office, fake, laptop):
    fake.reply = "I am desk."
    await add(office, laptop, owner="ada", name="desk")
    own = await office.ask("POST", CHAT, "ada", json=asked(f"desk/{OWN}"))
    assert own.json()["choices"][0]["message"]["content"] == "I am the laptop."
    shared = await office.ask("POST", CHAT, "bob", json=asked("desk/fake-chat"))
    assert shared.json()["choices"][0]["message"]["content"] == "I am desk."
    assert (await office.ask("POST", CHAT, "ada", json=asked("coder"))).headers["x-turnout-backend"] == "desk"


async def test_a_private_backend_that_is_down_is_nobody_elses_trouble(office: Office, laptop):
    await add(office, laptop, owner="ada")
    await laptop.stop()
    await office.r.looked()
    assert (await office.ask("GET", "/health", "bob")).status_code == 200
    seen = (await office.ask("GET", "/health", "ada")).json()
    assert {each["name"].partition("@")[0]: each["state"] for each in seen["backends"]} == {
        "desk": "up", "laptop": "down",
    }  # fmt: skip


async def test_who_is_removed_or_switched_off_takes_nothing_else_along(office: Office, fake, laptop):
    fake.faults = Faults(chunk_delay_s=0.02)
    stored = await add(office, laptop)
    key = f"x-api-key: {office.keys['bob']['x-api-key']}\r\n"
    async with calling(office.r, body=asked("desk/fake-chat", stream=True), head=key) as caller:
        await caller.until(b"data:")
        await office.stored.backends.replace(stored.id, replace(stored.definition, enabled=False))
        assert (await office.ask("POST", CHAT, "bob", json=asked(OWN))).status_code == 404
        await office.stored.backends.remove(stored.id)
        await caller.until(b"[DONE]")
    await eventually(lambda: not laptop.connections)


async def test_a_backend_that_is_deleted_with_requests_in_flight_finishes_them(office: Office, laptop):
    laptop.faults = Faults(chunk_delay_s=0.02)
    stored = await add(office, laptop, owner="ada")
    key = f"x-api-key: {office.keys['ada']['x-api-key']}\r\n"
    async with calling(office.r, body=asked(OWN, stream=True), head=key) as caller:
        await caller.until(b"data:")
        await office.stored.backends.remove(stored.id)
        assert (await office.ask("POST", CHAT, "ada", json=asked(OWN))).status_code == 404
        await caller.until(b"[DONE]")
    await eventually(lambda: not laptop.connections)


async def test_a_backend_that_makes_no_sense_is_left_out_and_told_without_its_values(office: Office, laptop, caplog):
    options = {"weight": "planted-value"}
    bad = BackendDefinition(name="bad", kind="openai", url=laptop.url, options=options)
    await office.stored.backends.add(bad)
    await add(office, laptop)
    assert "bad" not in office.r.router.fleet.adapters
    assert "backend bad of the database is not used" in caplog.text
    assert "planted-value" not in caplog.text


async def test_a_key_sees_the_models_that_it_may_use(office: Office, laptop):
    await add(office, laptop)
    for models, seen in ((["coder"], {"coder"}), ([OWN], {OWN}), (["desk/*"], {"coder", "fake-chat"}), ([], set())):
        body = {"user_id": office.ids["ada"], "name": "narrow", "models": models}
        key = (await office.ask("POST", "/api/keys", json=body)).json()["key"]
        headers = {"x-api-key": key}
        answer = await office.r.client.get("/v1/models", headers=headers)
        found = {model["id"] for model in answer.json()["data"]}
        assert {name for name in found if name in {"coder", OWN, "fake-chat"}} == seen
        for name in ("coder", OWN, "desk/fake-chat"):
            status = (await office.r.client.get(f"/v1/models/{name}", headers=headers)).status_code
            assert status == (200 if name.removeprefix("desk/") in seen else 404)


async def test_other_routers_hear_of_it(office: Office, laptop, fake, tmp_path):

    config = {"backends": backends({"desk": fake}), "server": {"data_dir": str(tmp_path)}}
    async with running(config) as other:
        await asyncio.wait_for(other.router.storage.opened.wait(), 10)
        await add(office, laptop)
        await eventually(lambda: "laptop" in other.router.fleet.adapters)

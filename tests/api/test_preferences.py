"""What a user prefers, from the API to where a request goes."""

import asyncio

import pytest

from router.canonical.caller import Preferences
from router.storage.values import KeyTerms
from tests.api.conftest import Office
from tests.fakes import FakeBackend, FakeModel
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, asked, backends

pytestmark = pytest.mark.anyio

EXPLAIN = "/v1/router/explain"


async def reason_of(r: RunningRouter, headers: dict[str, str], **more: object) -> str:
    response = await r.client.post(EXPLAIN, json=asked("auto", **more), headers=headers)
    assert response.status_code == 200, response.text
    return response.json()["reason"]


async def test_a_preference_counts_from_the_next_request_on_for_that_user_alone(office: Office):
    await office.ask("PUT", "/api/preferences", "ada", json={"default_model": "coder"})
    answers = {who: await office.ask("POST", CHAT, who, json=asked("auto")) for who in ("ada", "bob")}
    assert {who: answer.headers["x-turnout-reason"] for who, answer in answers.items()} == {
        "ada": "preferred model coder",
        "bob": "auto, first chat model",
    }
    assert await reason_of(office.r, office.keys["ada"]) == "preferred model coder"
    await office.ask("PUT", "/api/preferences", "ada", json={"default_backend": "desk"})
    assert await reason_of(office.r, office.keys["ada"]) == "preferred backend desk"
    assert (await office.ask("POST", CHAT, "ada", json=asked("no-such-model"))).status_code == 200
    assert (await office.ask("POST", CHAT, "bob", json=asked("no-such-model"))).status_code == 404


async def test_the_selected_model_of_a_preferred_backend_answers_from_the_next_request_on(office: Office, fake):
    fake.models = [FakeModel("fake-chat"), FakeModel("fake-tools")]
    await office.r.looked()
    await office.ask("PUT", "/api/preferences", "ada", json={"default_backend": "desk"})
    for model in ("fake-tools", "fake-chat"):
        chosen = await office.ask("POST", "/api/backends/desk/select-model", json={"model": model})
        assert chosen.status_code == 200, chosen.text
        answer = await office.ask("POST", CHAT, "ada", json=asked("auto"))
        assert (answer.headers["x-turnout-model"], answer.headers["x-turnout-reason"]) == (
            model,
            "preferred backend desk, its selected model",
        )
    explained = (await office.ask("POST", EXPLAIN, "ada", json=asked("auto"))).json()
    assert [each["model"] for each in explained["candidates"]] == ["fake-chat"]
    assert await reason_of(office.r, office.keys["bob"]) == "auto, first chat model"


async def test_claude_answers_for_those_who_want_that_while_local_is_down(tmp_path):
    async with FakeBackend(flavour="openai") as desk, FakeBackend(flavour="claude", reply="I am Claude.") as claude:
        config = {
            "backends": backends({"desk": desk, "claude": claude}),
            "models": {"main": {"targets": ["desk/fake-chat"]}, "sonnet": {"targets": ["claude/claude-sonnet-5"]}},
            "routing": {"default_model": "main"},
            "server": {"data_dir": str(tmp_path)},
        }
        config["backends"]["desk"]["local"] = True
        async with running(config) as r:
            await asyncio.wait_for(r.router.storage.opened.wait(), 10)
            who = await _user(r, fallback_to_claude=True)
            await desk.stop()
            answer = await r.client.post(CHAT, json=asked("auto"), headers=who)
            assert (answer.status_code, answer.headers["x-turnout-backend"]) == (200, "claude")
            assert answer.headers["x-turnout-reason"] == "default model main, desk failed"
            await r.looked()
            assert await reason_of(r, who) == "default model main, Claude while local is down"
            assert (await r.client.post(CHAT, json=asked("main"), headers=who)).status_code == 502


async def test_other_routers_on_the_same_database_hear_of_it_within_a_second(office: Office, fake, tmp_path):
    config = {
        "backends": backends({"desk": fake}),
        "models": {"coder": {"targets": ["desk/fake-chat"]}},
        "server": {"data_dir": str(tmp_path)},
    }
    async with running(config) as other:
        await asyncio.wait_for(other.router.storage.opened.wait(), 10)
        await office.ask("PUT", "/api/preferences", "ada", json={"default_model": "coder"})
        async with asyncio.timeout(5):
            while await reason_of(other, office.keys["ada"]) != "preferred model coder":
                await asyncio.sleep(0.02)


async def _user(r: RunningRouter, **wishes: bool) -> dict[str, str]:

    stored = r.router.storage.stored
    user = await stored.users.add("eve")
    made = await stored.keys.create(user.id, KeyTerms(name="laptop"))
    await stored.users.prefer(user.id, Preferences(**wishes))
    return {"x-api-key": made.secret}

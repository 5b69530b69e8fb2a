"""Other settings under requests: what they take away, what they leave alone, what they bring."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from router.settings import Settings
from tests.fakes import FakeBackend, Faults
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, asked, backends, calling, error_of, eventually, idle, streamed
from tests.surfaces.queueing import ANN, BOB, bearer, key, queue_of, waiting

pytestmark = pytest.mark.anyio

QUICK = {"keepalive_s": 0.03}
HOLD = Faults(stall_after=2, times=1)


@pytest.fixture
async def desk(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai", reply="I am desk.") as desk:
        yield desk


@pytest.fixture
async def lab(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai", reply="I am lab.") as lab:
        yield lab


def settings_of(config: Mapping[str, Any]) -> Settings:
    return Settings.model_validate({**config, "server": {"port": 0, "data_dir": None, **config.get("server", {})}})


def change(r: RunningRouter, **config: Any) -> None:
    assert r.router.reload.apply(settings_of({"server": QUICK, **config}))


async def in_flight(r: RunningRouter, count: int) -> None:
    async with asyncio.timeout(5):
        while (await queue_of(r))["in_flight"] != count:
            await asyncio.sleep(0.002)


async def config_of(r: RunningRouter) -> dict:
    return (await r.client.get("/health")).json()["config"]


async def test_a_new_backend_is_looked_at_at_once_and_serves(desk, lab):
    async with running({"backends": backends({"desk": desk}), "models": alias("m", "desk/fake-chat")}) as r:
        await asyncio.wait_for(r.router.prober.looked_at_all.wait(), 5)
        change(r, backends=backends({"desk": desk, "lab": lab}), models=alias("m", "lab/fake-chat"))
        await eventually(lambda: r.router.fleet.health["lab"].models != ())
        assert (await streamed(r.client, "m")).text == "I am lab."
        listed = [model["id"] for model in (await r.client.get("/v1/models")).json()["data"]]
    assert "m" in listed


async def test_a_stream_on_a_removed_backend_is_finished(desk, lab):
    desk.faults = Faults(chunk_delay_s=0.02)
    async with running({"server": QUICK, "backends": backends({"desk": desk, "lab": lab})}) as r:
        async with calling(r, body=asked("desk/fake-chat", stream=True)) as caller:
            await caller.until(b"data:")
            change(r, backends=backends({"lab": lab}))
            assert [each["name"] for each in (await r.client.get("/health")).json()["backends"]] == ["lab"]
            gone = await r.client.post(CHAT, json=asked("desk/fake-chat"))
            assert desk.connections
            await caller.until(b"[DONE]")
        await eventually(lambda: not desk.connections and idle(r))
        assert r.router.fleet.leaving == {}
    assert gone.status_code == 404


async def test_who_waits_for_a_removed_backend_goes_where_its_name_leads_now(desk, lab):
    desk.faults = HOLD
    config = {
        "server": QUICK,
        "backends": backends({"desk": desk, "lab": lab}, max_parallel=1),
        "models": alias("m", "desk/fake-chat"),
    }
    async with running(config) as r, calling(r, body=asked("desk/fake-chat", stream=True)) as first:
        await first.until(b"data:")
        async with calling(r, body=asked("m", stream=True)) as second:
            await second.until(b": queued position=1")
            change(r, backends=backends({"lab": lab}, max_parallel=1), models=alias("m", "lab/fake-chat"))
            assert b"lab." in await second.until(b"[DONE]")
            assert desk.in_flight == 1


async def test_who_waits_for_a_removed_backend_and_has_nowhere_to_go_is_told(desk, lab):
    desk.faults = HOLD
    config = {"server": QUICK, "backends": backends({"desk": desk, "lab": lab}, max_parallel=1)}
    async with running(config) as r, calling(r, body=asked("desk/fake-chat", stream=True)) as first:
        await first.until(b"data:")
        asking = asyncio.create_task(r.client.post(CHAT, json=asked("desk/fake-chat")))
        await waiting(r, 1)
        change(r, backends=backends({"lab": lab}, max_parallel=1))
        response = await asking
        assert (response.status_code, error_of(response)["code"]) == (404, "model_not_found")


async def test_a_removed_backend_that_comes_back_counts_who_is_still_there(desk, lab):
    desk.faults = Faults(chunk_delay_s=0.02)
    both = backends({"desk": desk, "lab": lab})
    async with running({"server": QUICK, "backends": both}) as r:
        async with calling(r, body=asked("desk/fake-chat", stream=True)) as caller:
            await caller.until(b"data:")
            change(r, backends=backends({"lab": lab}))
            change(r, backends=both)
            assert r.router.fleet.health["desk"].in_flight == 1
            await caller.until(b"[DONE]")
        await eventually(lambda: idle(r))
        assert (await streamed(r.client, "desk/fake-chat")).text == "I am desk."


async def test_a_backend_that_is_gone_again_before_anybody_looked_hinders_no_later_change(desk, lab, caplog):
    caplog.set_level("INFO", logger="router.reload")
    async with running({"server": QUICK, "backends": backends({"desk": desk})}) as r:
        await streamed(r.client, "desk/fake-chat")
        change(r, backends=backends({"desk": desk, "lab": lab}))
        change(r, backends=backends({"desk": desk}))
        await streamed(r.client, "desk/fake-chat")
        change(r, backends=backends({"lab": lab}))
        await eventually(lambda: "removed backend desk is closed" in caplog.text)


async def test_a_line_and_a_stream_stay_as_they_are_while_all_around_changes(desk, lab):
    desk.faults = Faults(stall_after=2, times=1)
    config = {"server": QUICK, "backends": backends({"desk": desk, "lab": lab}, max_parallel=1)}
    body = asked("desk/fake-chat", stream=True)
    async with running(config) as r, calling(r, body=body) as first:
        await first.until(b"data:")
        waits = []
        for number in range(3):
            waits.append(asyncio.create_task(streamed(r.client, "desk/fake-chat", user=f"u{number}")))
            await waiting(r, number + 1)
        before = [(each["id"], each["position"]) for each in (await queue_of(r))["lanes"][0]["entries"]]
        change(r, backends=backends({"desk": desk, "moved": lab}, max_parallel=1), models=alias("m", "moved/fake-chat"))
        after = [(each["id"], each["position"]) for each in (await queue_of(r))["lanes"][0]["entries"]]
        assert after == before
        assert desk.in_flight == 1
        first.leave()
        assert all(answer.done for answer in await asyncio.gather(*waits))


async def test_an_unchanged_backend_keeps_its_connections_its_health_and_its_drain(desk, lab):
    async with running({"server": QUICK, "backends": backends({"desk": desk})}) as r:
        await asyncio.wait_for(r.router.prober.looked_at_all.wait(), 5)
        await streamed(r.client, "desk/fake-chat")
        await r.client.post("/v1/router/backends/desk/drain")
        warm, health = desk.connections, r.router.fleet.health["desk"]
        change(r, backends={**backends({"desk": desk}, weight=2, max_parallel=3), **backends({"lab": lab})})
        assert r.router.fleet.health["desk"] is health
        lanes = {lane["name"]: lane["backends"][0] for lane in (await queue_of(r))["lanes"]}
        await r.client.post("/v1/router/backends/desk/resume")
        await streamed(r.client, "desk/fake-chat")
        assert desk.connections == warm != set()
    assert (lanes["desk"]["max_parallel"], lanes["desk"]["drained"]) == (3, True)


async def test_a_backend_with_another_address_is_another_server(desk, lab):
    desk.faults = Faults(chunk_delay_s=0.02)
    async with running({"server": QUICK, "backends": backends({"box": desk})}) as r:
        async with calling(r, body=asked("box/fake-chat", stream=True)) as caller:
            await caller.until(b"data:")
            change(r, backends=backends({"box": lab}))
            assert (await streamed(r.client, "box/fake-chat")).text == "I am lab."
            assert b"desk." in await caller.until(b"[DONE]")
        await eventually(lambda: idle(r))


async def test_what_the_old_address_does_says_nothing_about_the_new_one(desk, lab):
    desk.faults = Faults(stall_after=2, times=1)
    config = {"backends": backends({"box": desk}, timeouts={"idle": 0.1}), "models": alias("m", "box/fake-chat")}
    async with running(config) as r:
        asking = asyncio.create_task(streamed(r.client, "m"))
        await desk.until(lambda: desk.in_flight == 1)
        change(r, backends=backends({"box": lab}, timeouts={"idle": 0.1}), models=config["models"])
        assert (await asking).errors != []
        assert r.router.fleet.health["box"].last_error is None


async def test_more_room_lets_those_in_who_wait(desk):
    desk.faults = HOLD
    config = {"server": QUICK, "backends": backends({"desk": desk}, max_parallel=1)}
    async with running(config) as r, calling(r, body=asked("desk/fake-chat", stream=True)) as first:
        await first.until(b"data:")
        asking = asyncio.create_task(streamed(r.client, "desk/fake-chat"))
        await waiting(r, 1)
        change(r, backends=backends({"desk": desk}, max_parallel=2))
        assert (await asking).done
        assert (await queue_of(r))["in_flight"] == 1


async def test_a_backend_that_joins_a_group_takes_its_line_along(desk, lab):
    desk.faults = lab.faults = HOLD
    both = backends({"desk": desk, "lab": lab}, max_parallel=1)
    async with running({"server": QUICK, "backends": both}) as r:
        async with (
            calling(r, body=asked("desk/fake-chat", stream=True)) as first,
            calling(r, body=asked("lab/fake-chat", stream=True)) as second,
        ):
            await first.until(b"data:")
            await second.until(b"data:")
            asking = asyncio.create_task(streamed(r.client, "desk/fake-chat"))
            await waiting(r, 1)
            change(r, backends=both, groups={"gpu": {"members": ["desk", "lab"], "max_parallel": 1}})
            report = await queue_of(r)
            assert [(lane["name"], lane["in_flight"], lane["waiting"]) for lane in report["lanes"]] == [("gpu", 2, 1)]
            first.leave()
            await desk.until(lambda: desk.in_flight == 0)
            await in_flight(r, 1)
            assert not asking.done()  # one of the two still runs, and the group takes no more
            second.leave()
            assert (await asking).done
        assert (await queue_of(r))["in_flight"] == 0


async def test_other_keys_hold_at_once(desk):
    config = {"backends": backends({"desk": desk})}
    async with running({**config, "auth": {"api_keys": [ANN]}}) as r:
        assert (await r.client.get("/v1/models", headers=bearer(ANN))).status_code == 200
        change(r, **config, auth={"api_keys": [{"key": BOB, "name": "bob"}]})
        assert (await r.client.get("/v1/models", headers=bearer(ANN))).status_code == 401
        assert (await r.client.get("/v1/models", headers=bearer(BOB))).status_code == 200


async def test_a_stream_of_a_key_that_was_taken_away_ends_by_itself(desk):
    desk.faults = Faults(chunk_delay_s=0.02)
    config = {"server": QUICK, "backends": backends({"desk": desk})}
    body = asked("desk/fake-chat", stream=True)
    async with running({**config, "auth": {"api_keys": [ANN]}}) as r, calling(r, body=body, head=key(ANN)) as caller:
        await caller.until(b"data:")
        change(r, **config, auth={"api_keys": [BOB]})
        await caller.until(b"[DONE]")


async def test_keys_cannot_be_taken_away_from_a_router_that_strangers_reach(desk):
    backend = backends({"desk": desk})
    open_to_all = {"server": {**QUICK, "host": "0.0.0.0"}, "auth": {"api_keys": [ANN]}}
    async with running({**open_to_all, "backends": backend}) as r:
        assert not r.router.reload.apply(settings_of({"backends": backend}))
        assert (await r.client.get("/v1/models")).status_code == 401
        told = (await r.client.get("/health", headers=bearer(ANN))).json()["config"]
    assert told["status"] == "refused"
    assert "no key is asked" in told["problems"][0]


async def test_what_needs_a_restart_is_named(desk, caplog):
    backend = backends({"desk": desk})
    async with running({"server": QUICK, "backends": backend}) as r:
        with caplog.at_level("WARNING", logger="router.reload"):
            change(r, server={**QUICK, "port": 7171, "drain_s": 1}, backends=backend)
        assert (await config_of(r))["needs_restart"] == ["server.port", "server.drain_s"]
        change(r, backends=backend)
        assert (await config_of(r))["needs_restart"] == []
    assert "server.port, server.drain_s cannot change while running" in caplog.text


async def test_the_queue_and_the_labels_follow(desk, lab):
    async with running({"server": QUICK, "backends": backends({"desk": desk})}) as r:
        change(r, backends=backends({"lab": lab}), models=alias("m", "lab/other"), queue={"max_depth": 7})
        assert [(lane["name"], lane["max_depth"]) for lane in (await queue_of(r))["lanes"]] == [("lab", 7)]
        await r.client.post(CHAT, json=asked("m"))
        told = (await r.client.get("/metrics")).text
    assert 'turnout_config_reloads_total{result="applied"} 1.0' in told
    assert "turnout_config_valid 1.0" in told
    assert 'model="other"' in told


async def test_options_that_aliases_pin_follow(anyio_backend):
    async with FakeBackend() as desk:
        backend = backends({"desk": desk})
        async with running({"backends": backend, "models": alias("m", "desk/fake-chat", context_length=4096)}) as r:
            await r.client.post(CHAT, json=asked("desk/fake-chat"))
            change(r, backends=backend, models=alias("m", "desk/fake-chat", context_length=8192))
            await r.client.post(CHAT, json=asked("desk/fake-chat"))
        assert [request.json["options"]["num_ctx"] for request in desk.requests] == [4096, 8192]


async def test_nothing_is_lost_while_the_settings_change_under_load(desk, lab):
    desk.faults = lab.faults = Faults(chunk_delay_s=0.002)
    chat = alias("m", "desk/fake-chat", "lab/fake-chat", strategy="score")
    one, other = (backends({name: fake}, max_parallel=2) for name, fake in (("desk", desk), ("lab", lab)))
    states = (
        {"backends": {**one, **other}, "models": chat},
        {"backends": one, "models": alias("m", "desk/fake-chat")},
        {"backends": {**one, **other}, "models": chat, "groups": {"g": {"members": ["desk", "lab"]}}},
        {"backends": other, "models": alias("m", "lab/fake-chat")},
        {"backends": backends({"desk": lab, "lab": desk}, max_parallel=3), "models": chat},
    )
    async with running({"server": QUICK, **states[0]}) as r:
        answers = [asyncio.create_task(streamed(r.client, "m")) for _ in range(60)]
        for turn in range(15):
            await asyncio.sleep(0.02)
            change(r, **states[turn % len(states)])
        done = await asyncio.gather(*answers)
        await eventually(lambda: idle(r) and r.router.fleet.leaving == {})
        lanes = (await queue_of(r))["lanes"]
    assert [answer.status for answer in done] == [200] * 60
    assert all(answer.done and answer.text in {"I am desk.", "I am lab."} for answer in done)
    assert sum(lane["in_flight"] + lane["waiting"] for lane in lanes) == 0

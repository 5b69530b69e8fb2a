"""Other launches while the supervisor works: who is the same runs on, others finish what they have first."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from router.errors import BackendRemoved
from router.processes.child import Phase
from tests.processes.yard import is_gone, launch, phase, pid_of, supervised, until, used

pytestmark = pytest.mark.anyio


def become(supervisor, *launches, memory: int | None = None) -> None:
    supervisor.become({each.name: each for each in launches}, {"g": memory})


def old(supervisor):
    (run,) = supervisor.leaving.values()
    return run


async def test_who_would_be_started_in_the_same_way_runs_on_and_its_terms_follow(tmp_path):
    async with supervised(launch(tmp_path, "a")) as s:
        await used(s, "a")
        pid = pid_of(s, "a")
        become(s, launch(tmp_path, "a", group="other", memory=5), launch(tmp_path, "b"))
        assert pid_of(s, "a") == pid
        assert s.budgets["other"].sizes == {"a": 5}
        become(s, launch(tmp_path, "a", idle_unload_s=0.01))
        await until(lambda: phase(s, "a") is Phase.STOPPED)


async def test_one_that_is_removed_is_stopped_at_once_if_nobody_uses_it(tmp_path):
    async with supervised(launch(tmp_path, "a"), launch(tmp_path, "b")) as s:
        await used(s, "a")
        pid = pid_of(s, "a")
        become(s, launch(tmp_path, "b"))
        assert "a" not in s
        await until(lambda: is_gone(pid) and not s.leaving)


async def test_one_that_is_removed_is_stopped_once_its_last_request_is_over(tmp_path):
    async with supervised(launch(tmp_path, "a")) as s:
        async with s.use("a", lambda _: None):
            pid = pid_of(s, "a")
            become(s)
            assert old(s).child.phase is Phase.READY
            assert old(s).url
        await until(lambda: is_gone(pid) and not s.leaving)


async def test_one_that_is_changed_starts_anew_beside_the_old_one_that_is_in_use(tmp_path):
    async with supervised(launch(tmp_path, "a")) as s:
        async with s.use("a", lambda _: None):
            pid = pid_of(s, "a")
            become(s, launch(tmp_path, "a", "load=0.05"))
            await used(s, "a")
            assert pid_of(s, "a") != pid
            assert not is_gone(pid)
        await until(lambda: is_gone(pid) and not s.leaving)
        assert phase(s, "a") is Phase.READY


async def test_another_key_is_another_process(tmp_path):
    async with supervised(launch(tmp_path, "a")) as s:
        await used(s, "a")
        pid = pid_of(s, "a")
        become(s, replace(launch(tmp_path, "a"), api_key="another"))
        await until(lambda: is_gone(pid))


async def test_the_new_one_waits_for_the_memory_of_the_old_one(tmp_path):
    async with supervised(launch(tmp_path, "a"), memory=1) as s, AsyncExitStack() as held:
        await held.enter_async_context(s.use("a", lambda _: None))
        pid = pid_of(s, "a")
        become(s, launch(tmp_path, "a", "load=0.05"), memory=1)
        asking = asyncio.create_task(used(s, "a"))
        await until(lambda: s.runs["a"].child.users and s.runs["a"].head)
        await asyncio.sleep(0.05)
        assert (phase(s, "a"), old(s).child.phase) == (Phase.STOPPED, Phase.READY)
        await held.aclose()
        await asking
        assert is_gone(pid)
        assert s.runs["a"].loads == 1


async def test_who_only_waits_for_the_old_one_is_sent_to_the_new_one(tmp_path):
    async with supervised(launch(tmp_path, "a", "load=600")) as s:
        asking = asyncio.create_task(used(s, "a"))
        await until(lambda: phase(s, "a") is Phase.LOADING)
        become(s, launch(tmp_path, "a"))
        with pytest.raises(BackendRemoved):
            await asking
        await until(lambda: not s.leaving)
        await used(s, "a")


async def test_what_is_to_run_always_starts_when_the_settings_say_so_and_not_before_its_file_was_read(tmp_path):
    async with supervised(launch(tmp_path, "a")) as s:
        become(s, launch(tmp_path, "a", always=True), launch(tmp_path, "b", always=True))
        assert (phase(s, "a"), phase(s, "b")) == (Phase.STARTING, Phase.STOPPED)
        await until(lambda: phase(s, "a") is phase(s, "b") is Phase.READY)


async def test_one_that_is_always_to_run_does_not_come_back_once_it_is_removed(tmp_path):
    async with supervised(launch(tmp_path, "a", always=True)) as s:
        await until(lambda: phase(s, "a") is Phase.READY)
        async with s.use("a", lambda _: None):
            become(s)
        await until(lambda: not s.leaving)
        assert not s.runs


async def test_what_still_runs_when_the_router_stops_is_ended_although_it_is_removed(tmp_path):
    async with supervised(launch(tmp_path, "a")) as s, AsyncExitStack() as held:
        await held.enter_async_context(s.use("a", lambda _: None))
        pid = pid_of(s, "a")
        become(s)
        held.pop_all()
    assert is_gone(pid)


async def test_the_log_goes_on_under_the_same_name(tmp_path):
    async with supervised(launch(tmp_path, "a"), folder=tmp_path) as s:
        await used(s, "a")
        become(s, launch(tmp_path, "a", "load=0.05"))
        await used(s, "a")
        assert sum("stub: begins" in line for line in s.runs["a"].log.last(50)) == 2
    assert sum("stub: begins" in line for line in (tmp_path / "logs" / "llama-a.log").read_text().splitlines()) == 2
    assert not list((tmp_path / "processes").iterdir())

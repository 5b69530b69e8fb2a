"""Each transition with a real process: one that ignores SIGTERM, starts slowly, ends at once, or hangs."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from random import Random

import msgspec
import pytest

from router.errors import BackendFailed, BackendInUse
from router.processes.child import Phase
from router.processes.records import TOKEN, Record, Running, began
from tests.processes.yard import SOON_S, is_gone, launch, phase, pid_of, supervised, until, used

pytestmark = pytest.mark.anyio


async def test_a_request_starts_it_and_it_stays(tmp_path):
    async with supervised(launch(tmp_path, "a", "load=0.2")) as s:
        assert phase(s, "a") is Phase.STOPPED
        assert set(await used(s, "a")) == {"loading model"}
        assert phase(s, "a") is Phase.READY
        assert await used(s, "a") == []
        assert s.runs["a"].loads == 1


async def test_the_phases_of_a_slow_start_are_seen(tmp_path):
    async with supervised(launch(tmp_path, "a", "mute=0.3", "load=0.5")) as s:
        s.start("a")
        assert phase(s, "a") is Phase.STARTING
        await until(lambda: phase(s, "a") is Phase.LOADING)
        await until(lambda: phase(s, "a") is Phase.READY)


async def test_what_is_to_run_always_starts_by_itself(tmp_path):
    async with supervised(launch(tmp_path, "a", always=True)) as s:
        await until(lambda: phase(s, "a") is Phase.READY)


async def test_many_requests_share_one_start(tmp_path):
    async with supervised(launch(tmp_path, "a", "load=0.2")) as s:
        await asyncio.gather(*(used(s, "a") for _ in range(20)))
        assert s.runs["a"].child.start == 1


async def test_a_client_who_leaves_does_not_end_the_load(tmp_path):
    async with supervised(launch(tmp_path, "a", "load=0.3")) as s:
        asking = asyncio.create_task(used(s, "a"))
        await until(lambda: phase(s, "a") is Phase.LOADING)
        asking.cancel()
        await asyncio.wait((asking,))
        assert s.runs["a"].child.users == 0
        await until(lambda: phase(s, "a") is Phase.READY)


async def test_who_ends_at_once_is_told_to_those_who_wait(tmp_path):
    async with supervised(launch(tmp_path, "a", "exit=3")) as s:
        with pytest.raises(BackendFailed, match="a exited with status 3 while it was loading"):
            await used(s, "a")
        assert phase(s, "a") is Phase.CRASHED
        assert any("stub: begins" in line for line in s.runs["a"].log.last(20))


async def test_a_command_that_cannot_be_run_is_told(tmp_path):
    broken = launch(tmp_path, "a")
    (tmp_path / "stub").chmod(0o600)
    async with supervised(broken) as s:
        with pytest.raises(BackendFailed, match="cannot be started"):
            await used(s, "a")


async def test_the_tries_of_one_that_always_crashes_become_rarer(tmp_path):
    async with supervised(launch(tmp_path, "a", "exit=3", always=True)) as s:
        await until(lambda: s.runs["a"].child.crashes == 2)
        child = s.runs["a"].child
        assert child.retry_at - child.since == pytest.approx(1.0)


async def test_who_is_not_tried_again_soon_fails_at_once(tmp_path):
    async with supervised(launch(tmp_path, "a", "exit=3")) as s:
        for _ in range(5):
            s.runs["a"].child = s.runs["a"].child.crashed(asyncio.get_running_loop().time(), "fell over")
        with pytest.raises(BackendFailed, match="fell over") as failure:
            await used(s, "a")
        assert 1 < (failure.value.retry_after or 0) <= 8
        with pytest.raises(BackendFailed):
            s.rest("a")
        s.start("a")
        await until(lambda: s.runs["a"].child.start == 1)


async def test_who_hangs_is_ended_and_that_is_a_crash(tmp_path):
    async with supervised(launch(tmp_path, "a", "hang", load_s=0.3)) as s:
        s.start("a")
        await until(lambda: phase(s, "a") is Phase.CRASHED)
        assert s.runs["a"].child.error == "was not ready after 0.3 s"


async def test_who_ignores_sigterm_is_killed_with_all_that_it_started(tmp_path):
    async with supervised(launch(tmp_path, "a", "stubborn", f"leaves={tmp_path / 'pid'}")) as s:
        await used(s, "a")
        pid, left = pid_of(s, "a"), int((tmp_path / "pid").read_text())
        s.stop("a")
        assert phase(s, "a") is Phase.STOPPING
        await until(lambda: phase(s, "a") is Phase.STOPPED)
        await until(lambda: is_gone(pid) and is_gone(left))


async def test_what_it_leaves_behind_goes_too_when_it_obeys(tmp_path):
    async with supervised(launch(tmp_path, "a", f"leaves={tmp_path / 'pid'}")) as s:
        await used(s, "a")
        s.stop("a")
        await until(lambda: phase(s, "a") is Phase.STOPPED)
        await until(lambda: is_gone(int((tmp_path / "pid").read_text())))


async def test_a_stop_is_no_crash_and_the_next_request_starts_it_again(tmp_path):
    async with supervised(launch(tmp_path, "a")) as s:
        await used(s, "a")
        s.stop("a")
        await used(s, "a")
        assert (s.runs["a"].loads, s.runs["a"].child.failures) == (2, 0)


async def test_a_kill_from_outside_is_a_crash_and_the_next_request_starts_it_again(tmp_path):
    async with supervised(launch(tmp_path, "a")) as s:
        await used(s, "a")
        os.kill(pid_of(s, "a"), signal.SIGKILL)
        await until(lambda: phase(s, "a") is Phase.CRASHED)
        assert s.runs["a"].child.error == "was killed by SIGKILL"
        await used(s, "a")
        assert s.runs["a"].loads == 2


async def test_a_killed_keeper_takes_its_command_along(tmp_path):
    async with supervised(launch(tmp_path, "a")) as s:
        await used(s, "a")
        pid, keeper = pid_of(s, "a"), s.runs["a"].process.group
        os.kill(keeper, signal.SIGKILL)
        await until(lambda: phase(s, "a") is Phase.CRASHED)
        await until(lambda: is_gone(pid))


async def test_who_runs_always_comes_back_after_a_crash(tmp_path):
    async with supervised(launch(tmp_path, "a", always=True)) as s:
        await until(lambda: phase(s, "a") is Phase.READY)
        os.kill(pid_of(s, "a"), signal.SIGKILL)
        await until(lambda: s.runs["a"].loads == 2)


async def test_who_runs_always_and_was_stopped_by_a_person_stays_so_until_it_is_wanted(tmp_path):
    async with supervised(launch(tmp_path, "a", always=True)) as s:
        await until(lambda: phase(s, "a") is Phase.READY)
        s.stop("a")
        await until(lambda: phase(s, "a") is Phase.STOPPED)
        await asyncio.sleep(0.05)
        assert phase(s, "a") is Phase.STOPPED
        await used(s, "a")
        assert s.runs["a"].loads == 2


async def test_nobody_stops_what_requests_use_unless_they_insist(tmp_path):
    async with supervised(launch(tmp_path, "a")) as s, s.use("a", lambda _: None):
        with pytest.raises(BackendInUse, match="1 request uses a"):
            s.stop("a")
        assert phase(s, "a") is Phase.READY
        s.stop("a", force=True)
        assert phase(s, "a") is Phase.STOPPING


async def test_who_is_idle_for_long_enough_is_stopped(tmp_path):
    async with supervised(launch(tmp_path, "a", idle_unload_s=0.3)) as s:
        async with s.use("a", lambda _: None):
            await asyncio.sleep(0.05)
            assert phase(s, "a") is Phase.READY
        await until(lambda: phase(s, "a") is Phase.STOPPED)
        assert s.runs["a"].child.failures == 0


async def test_who_is_idle_makes_room(tmp_path):
    async with supervised(launch(tmp_path, "a"), launch(tmp_path, "b"), memory=1) as s:
        await used(s, "a")
        await used(s, "b")
        assert (phase(s, "a"), phase(s, "b")) == (Phase.STOPPED, Phase.READY)


async def test_who_is_busy_is_waited_for(tmp_path):
    async with supervised(launch(tmp_path, "a"), launch(tmp_path, "b"), memory=1) as s:
        async with s.use("a", lambda _: None):
            asking = asyncio.create_task(used(s, "b"))
            await asyncio.sleep(0.05)
            assert (phase(s, "a"), phase(s, "b")) == (Phase.READY, Phase.STOPPED)
        await asking
        assert (phase(s, "a"), phase(s, "b")) == (Phase.STOPPED, Phase.READY)


async def test_who_loads_is_never_stopped_for_another(tmp_path):
    async with supervised(launch(tmp_path, "a", "load=0.4"), launch(tmp_path, "b"), memory=1) as s:
        s.start("a")
        await used(s, "b")
        assert s.runs["a"].loads == 1


async def test_of_two_idle_ones_the_one_used_longer_ago_goes(tmp_path):
    three = [launch(tmp_path, name) for name in "abc"]
    async with supervised(*three, memory=2) as s:
        for name in "aba":
            await used(s, name)
        await used(s, "c")
        assert [phase(s, name) for name in "abc"] == [Phase.READY, Phase.STOPPED, Phase.READY]


async def test_a_load_that_runs_out_of_memory_makes_room_and_is_tried_once_more(tmp_path):
    (tmp_path / "pids").mkdir()
    two = [launch(tmp_path, name, f"crowded={tmp_path / 'pids'}") for name in "ab"]
    async with supervised(*two) as s:
        await used(s, "a")
        await used(s, "b")
        assert (phase(s, "a"), phase(s, "b")) == (Phase.STOPPED, Phase.READY)
        assert s.runs["b"].child.failures == 0
        assert not s.budgets["g"].fits({"a", "b"})
        starts = s.runs["a"].child.start
        await used(s, "a")
        assert s.runs["a"].child.start == starts + 1, "it is known by now, and not tried again"


async def test_a_load_that_runs_out_of_memory_with_nobody_to_go_fails(tmp_path):
    (tmp_path / "pids").mkdir()
    two = [launch(tmp_path, name, f"crowded={tmp_path / 'pids'}") for name in "ab"]
    async with supervised(*two) as s, s.use("a", lambda _: None):
        with pytest.raises(BackendFailed, match="ran out of memory"):
            await used(s, "b")
        assert phase(s, "a") is Phase.READY


async def test_a_load_says_how_far_it_is_once_its_time_is_known(tmp_path):
    async with supervised(launch(tmp_path, "a", "load=1.2")) as s:
        await used(s, "a")
        s.stop("a")
        told = await used(s, "a")
    percents = [int(word.removeprefix("loading ").removesuffix("%")) for word in told if "%" in word]
    assert len(percents) > 1
    assert percents == sorted(percents)
    assert 20 < percents[-1] <= 99


async def test_it_has_a_key_of_its_own_and_none_of_the_routers_secrets(tmp_path):
    note = tmp_path / "note"
    environ = {"PATH": "/usr/bin:/bin", "SOME_SECRET": "hush"}
    async with supervised(launch(tmp_path, "a", f"notes={note}"), environ=environ) as s:
        await used(s, "a")
    assert note.read_text() == "key-of-a None"


async def test_the_log_hides_where_the_files_are_and_is_kept_in_a_file(tmp_path):
    async with supervised(launch(tmp_path / "", "a"), folder=tmp_path / "data") as s:
        s.runs["a"].log.feed(f"loading model '{tmp_path}/a.gguf'\n".encode())
        await used(s, "a")
        assert "loading model 'a.gguf'" in s.runs["a"].log.last(100)
    written = (tmp_path / "data" / "logs" / "llama-a.log").read_text()
    assert "loading model 'a.gguf'" in written
    assert "stub: begins" in written


async def test_what_a_load_took_is_known_to_the_next_router(tmp_path):
    learns = launch(tmp_path, "a", "load=0.3", memory=None)
    async with supervised(learns, folder=tmp_path / "data") as s:
        await used(s, "a")
        await until(lambda: s.runs["a"].load)
    async with supervised(learns, folder=tmp_path / "data") as later:
        load = later.runs["a"].load
    assert load is not None
    assert load.seconds > 0.3
    assert load.memory > 1_000_000


async def test_any_traffic_is_served_and_memory_is_never_overdrawn(tmp_path):
    three, dice = [launch(tmp_path, name, "load=0.05") for name in "abc"], Random(6)
    most, served = 0, 0
    async with supervised(*three, memory=2) as s:

        def count(_: str, __: bool) -> None:
            nonlocal most
            most = max(most, sum(run.child.is_alive for run in s.runs.values()))

        s.wiring = replace(s.wiring, resident=count)

        async def one() -> None:
            nonlocal served
            await asyncio.sleep(dice.random() * 0.05)
            with suppress(TimeoutError):
                async with asyncio.timeout(dice.choice([0.02, SOON_S])), s.use(dice.choice("abc"), lambda _: None):
                    await asyncio.sleep(dice.random() * 0.02)
                served += 1

        for _ in range(6):
            await asyncio.gather(*(one() for _ in range(10)))
        assert all(run.child.users == 0 for run in s.runs.values())
        assert all(run.child.failures == 0 for run in s.runs.values())
    assert most == 2
    assert served >= 20


async def test_what_a_killed_router_left_behind_is_ended_before_anything_starts(tmp_path):
    token = "a-mark"
    environ = os.environ | {TOKEN: token}
    sleep = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
    orphan = await asyncio.create_subprocess_exec(*sleep, env=environ, start_new_session=True)
    await until(lambda: began(orphan.pid))
    (tmp_path / "data" / "processes").mkdir(parents=True)
    record = Record(Running(2**22, "long ago"), [Running(orphan.pid, began(orphan.pid) or "")], token)
    (tmp_path / "data" / "processes" / "a.77.json").write_bytes(msgspec.json.encode(record))
    async with supervised(launch(tmp_path, "a"), folder=tmp_path / "data"):
        await orphan.wait()
    assert orphan.returncode == -signal.SIGKILL


async def test_who_hangs_after_it_was_ready_is_ended_and_the_next_request_starts_it_again(tmp_path):
    async with supervised(launch(tmp_path, "a", watch_s=0.1)) as s:
        await used(s, "a")
        os.kill(pid_of(s, "a"), signal.SIGSTOP)
        await until(lambda: phase(s, "a") is Phase.CRASHED)
        assert s.runs["a"].child.error == "did not answer 6 times in a row"
        s.runs["a"].launch = launch(tmp_path, "a")
        await used(s, "a")
        assert s.runs["a"].loads == 2


async def test_who_answers_again_in_time_is_left_alone(tmp_path):
    async with supervised(launch(tmp_path, "a", watch_s=0.5)) as s:
        await used(s, "a")
        os.kill(pid_of(s, "a"), signal.SIGSTOP)
        await until(lambda: s.runs["a"].child.missed)
        os.kill(pid_of(s, "a"), signal.SIGCONT)
        await until(lambda: not s.runs["a"].child.missed)
        assert (phase(s, "a"), s.runs["a"].child.failures) == (Phase.READY, 0)

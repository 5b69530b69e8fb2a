"""Processes that an earlier router left behind are found and ended; nobody else's ever are."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from router.processes.process import KEEPER
from router.processes.records import TOKEN, Record, Records, Running, began, began_by_ps
from tests.processes.yard import is_gone

SLEEP = [sys.executable, "-S", "-c", "import time; print(flush=True); time.sleep(600)"]


@contextmanager
def sleeper(**environ: str) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(SLEEP, stdout=subprocess.PIPE, env=os.environ | environ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def left_behind(folder, pid: int, *, token: str, start: str | None = None, owner: Running | None = None) -> None:
    """As a router that is gone would have written it."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as gone:
        gone.wait()
    running = Running(pid, start or began(pid) or "")
    record = Record(owner or Running(gone.pid, "long ago"), [running], token)
    (folder / "a.1.json").write_bytes(msgspec.json.encode(record))


def test_what_was_left_behind_is_ended(tmp_path):
    with sleeper(**{TOKEN: "mark"}) as orphan:
        left_behind(tmp_path, orphan.pid, token="mark")
        assert Records(tmp_path).stop_orphans() == 1
        orphan.wait(10)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", ["another start", "another mark"])
def test_another_process_that_was_given_the_same_pid_is_left_alone(tmp_path, how):
    with sleeper(**{TOKEN: "mark"}) as stranger:
        token, start = ("other", None) if how == "another mark" else ("mark", "another start")
        left_behind(tmp_path, stranger.pid, token=token, start=start)
        assert Records(tmp_path).stop_orphans() == 0
        assert not is_gone(stranger.pid)
    assert not list(tmp_path.iterdir())


def test_the_processes_of_a_router_that_still_runs_are_left_alone(tmp_path):
    with sleeper(**{TOKEN: "mark"}) as child:
        left_behind(tmp_path, child.pid, token="mark", owner=Running(os.getpid(), began(os.getpid()) or ""))
        assert Records(tmp_path).stop_orphans() == 0
        assert not is_gone(child.pid)
    assert list(tmp_path.iterdir())


def test_a_note_that_cannot_be_read_is_thrown_away(tmp_path):
    (tmp_path / "a.1.json").write_text("{")
    assert Records(tmp_path).stop_orphans() == 0
    assert not list(tmp_path.iterdir())


def test_a_start_is_noted_and_forgotten(tmp_path):
    records = Records(tmp_path / "processes")
    records.write("a", [os.getpid(), 2**30], "mark")
    (file,) = (tmp_path / "processes").iterdir()
    assert len(msgspec.json.decode(file.read_bytes(), type=Record).members) == 1
    records.forget("a")
    assert not file.exists()
    Records(None).write("a", [1], "mark")
    assert Records(None).stop_orphans() == 0


def test_a_process_that_has_ended_has_no_start():
    with sleeper() as process:
        assert began(process.pid) == began(process.pid)
        assert began_by_ps(process.pid)
        process.kill()
        deadline = time.monotonic() + 10
        while not is_gone(process.pid):
            assert time.monotonic() < deadline
        assert began(process.pid) is None, "also while nobody has reaped it"


def test_a_keeper_ends_all_of_the_group_when_its_pipe_ends(tmp_path):
    """Also what its command has started, and what ignores SIGTERM."""
    pids = tmp_path / "pids"
    script = (
        "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "left = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)']);"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{left.pid}}\\n'); time.sleep(600)"
    )
    command = [sys.executable, "-I", "-S", str(KEEPER), "0.2", sys.executable, "-S", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdin is not None
        told = int(keeper.stdout.readline())
        deadline = time.monotonic() + 10
        while not (pids.exists() and pids.read_text().endswith("\n")):
            assert time.monotonic() < deadline
        family = [int(pid) for pid in pids.read_text().split()]
        assert family[0] == told
        keeper.stdin.close()
        keeper.wait(10)
        while not all(is_gone(pid) for pid in family):
            assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("script", "status"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 15)", -15)]
)
def test_a_keeper_ends_as_its_command_ended(script, status):
    command = [sys.executable, "-I", "-S", str(KEEPER), "1", sys.executable, "-S", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as keeper:
        assert keeper.wait(10) == status

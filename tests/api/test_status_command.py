"""`turnout status` against a running router, in a pipe and on a terminal."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.anyio

DEADLINE_S = 30.0
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from router.cli import main
main()
"""
"""A test run in the background hands on a Ctrl-C that is ignored."""


def asking(office, *words, who="admin") -> dict[str, object]:
    environ = {
        **os.environ,
        "TURNOUT_URL": office.r.url,
        "TURNOUT_API_KEY": office.keys[who].get("x-api-key", ""),
        "TERM": "xterm",
        "COLUMNS": "160",
    }
    return {"args": [sys.executable, "-c", INTERRUPTIBLE, "status", *words], "env": environ}


def ran(command) -> tuple[int, str, str]:
    done = subprocess.run(**command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    return done.returncode, done.stdout, done.stderr


async def said(office, *words, who="admin") -> tuple[int, str, str]:
    return await asyncio.to_thread(ran, asking(office, *words, who=who))


async def test_the_state_of_every_backend_is_a_table_without_colours_in_a_pipe(office):
    status, told, _ = await said(office)
    assert (status, "0 in flight, 0 waiting" in told, "desk" in told, "\x1b" in told) == (0, True, True, False), told


async def test_programs_get_json(office):
    status, told, _ = await said(office, "--json")
    report = json.loads(told)
    assert (status, [each["name"] for each in report["backends"]], report["queue"]["waiting"]) == (0, ["desk"], 0)


async def test_watching_without_a_terminal_is_refused(office):
    status, _, complaint = await said(office, "--watch")
    assert (status, "draws on a terminal" in complaint) == (2, True)


async def test_who_may_not_administer_is_told_so(office):
    status, _, complaint = await said(office, who="ada")
    assert (status, "scope admin" in complaint) == (1, True)


def watched(command, *, wanted: bytes) -> tuple[bytes, int]:
    """What a terminal showed until it showed enough, and the exit status after Ctrl-C."""
    ours, theirs = pty.openpty()
    shown, until = b"", time.monotonic() + DEADLINE_S
    try:
        with subprocess.Popen(**command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.set_blocking(ours, False)
            while shown.count(wanted) < 3 and time.monotonic() < until:
                time.sleep(0.02)
                try:
                    shown += os.read(ours, 65536)
                except BlockingIOError:
                    continue
            process.send_signal(signal.SIGINT)
            try:
                return shown, process.wait(DEADLINE_S)
            finally:
                process.kill()
    finally:
        os.close(ours)
        os.close(theirs)


async def test_a_terminal_shows_the_table_again_and_again_until_it_is_interrupted(office):
    shown, status = await asyncio.to_thread(watched, asking(office, "--watch", "--every", "0.2"), wanted=b"0 waiting")
    assert (shown.count(b"0 waiting") >= 3, b"desk" in shown, status) == (True, True, 0), shown

"""How clients are started and ended."""

import sys
import time
from pathlib import Path

import pytest

from tests.clients.running import Surroundings, conversation, run, until

ENV = {"PATH": "/usr/bin:/bin"}
LEAVES_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
print(child.pid, flush=True)
time.sleep(600)
"""
ECHOES_ONCE = """
import json, sys
question = json.loads(sys.stdin.readline())
print(json.dumps({"text": question["prompt"], "error": None}), flush=True)
"""


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    (tmp_path / "work").mkdir()
    return Surroundings(tmp_path, ENV)


def test_what_is_too_late_is_ended_with_all_that_it_started(around: Surroundings) -> None:
    said = run([sys.executable, "-c", LEAVES_A_CHILD], around, deadline_s=2)
    assert said.code is None
    child = int(said.text)
    assert until(lambda: not _is_running(child), within_s=10)


def test_a_client_sees_nothing_of_our_own_environment(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-real-key")
    said = run([sys.executable, "-c", "import os; print(sorted(os.environ))"], around, deadline_s=30)
    assert "OPENAI_API_KEY" not in said.text
    assert "HOME" in said.text


def test_a_program_that_has_ended_answers_at_once(around: Surroundings) -> None:
    with conversation([sys.executable, "-c", ECHOES_ONCE], around) as talking:
        assert talking.ask({"prompt": "hello"}, deadline_s=30).text == "hello"
        begun = time.monotonic()
        assert talking.ask({"prompt": "and now?"}, deadline_s=30).text == ""
        assert talking.ask({"prompt": "and now?"}, deadline_s=30).text == ""
        assert time.monotonic() - begun < 25


def _is_running(pid: int) -> bool:
    try:
        about = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return about.rpartition(")")[2].split()[0] != "Z"

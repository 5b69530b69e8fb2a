"""kill -9 in the middle of writing: nothing that was confirmed is lost, nothing counts twice, nothing is corrupt."""

import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from router.storage.usage import Usage
from router.storage.users import Users
from tests.storage.opening import opened

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
KILLS = 3


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Keeps what was compiled for the first process for all the others."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("compiled"))}


def killed_while_writing(url: str, name: str, environment: dict[str, str]) -> int:
    """Lets a process write for a while, kills it, and gives how many records it knew to be written."""
    command = [sys.executable, "-m", "tests.storage.hammer", url, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment) as writing:
        assert writing.stdout is not None
        confirmed = [writing.stdout.readline()]
        assert confirmed[0], "the process ended by itself"
        time.sleep(random.uniform(0, 0.05))
        writing.kill()
        confirmed += writing.stdout.readlines()
        writing.wait(10)
    return int([line for line in confirmed if line.endswith(b"\n")][-1])


@pytest.mark.timeout(180)
async def test_what_was_confirmed_is_there_once_however_often_the_writer_is_killed(url, environment):
    confirmed = {f"run{number}": killed_while_writing(url, f"run{number}", environment) for number in range(KILLS)}
    async with opened(url) as database:
        await Users(database).add("somebody")
        used = await Usage(database).latest(1_000_000)
    ids = [record.request_id for record in used]
    assert len(set(ids)) == len(ids)
    for name, count in confirmed.items():
        written = {int(one.split("-")[1]) for one in ids if one.startswith(f"{name}-")}
        assert len(written) >= count > 0
        assert written == set(range(len(written))), "a batch is written whole, in order, or not at all"
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
            assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        file.close()

"""`turnout doctor` as a person and a script meet it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.serving import environment
from tests.fakes import FakeProcess

pytestmark = pytest.mark.anyio

KEY = "planted-backend-key"


def doctor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "router", "doctor", *arguments],
        capture_output=True, text=True, cwd=folder, env=environment(HOME=str(folder)), timeout=30, check=False,
    )  # fmt: skip


def settings(folder: Path, url: str, target: str) -> None:
    document = {
        "backends": {"desk": {"type": "ollama", "url": url, "api_key": KEY}},
        "models": {"fast": {"targets": [target]}},
    }
    (folder / "turnout.yaml").write_text(json.dumps(document), encoding="utf-8")


async def test_the_doctor_finds_nothing_wrong(tmp_path: Path) -> None:
    async with FakeProcess(kind="ollama", models=["llama3.2:latest"]) as fake:
        settings(tmp_path, fake.url, "desk/llama3.2")
        done = doctor(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"ok  desk: ollama 0.33.0 at {fake.url}, 1 models" in done.stdout
    assert "nothing is wrong" in done.stdout


async def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(tmp_path: Path) -> None:
    async with FakeProcess(kind="ollama", models=["llama3.2:latest"]) as fake:
        settings(tmp_path, fake.url, "desk/mistral")
        done = doctor(tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "error  models.fast: desk has not pulled mistral." in done.stdout
    assert "ollama pull mistral" in done.stdout


async def test_the_doctor_speaks_json(tmp_path: Path) -> None:
    async with FakeProcess(kind="ollama", models=["llama3.2:latest"]) as fake:
        settings(tmp_path, fake.url, "desk/mistral")
        done = doctor(tmp_path, "--json", "--config", "turnout.yaml")
    said = json.loads(done.stdout)
    assert done.returncode == 1
    assert said["ok"] is False
    assert said["backends"][0] == {
        "name": "desk", "type": "ollama", "url": fake.url, "contact": "answers", "version": "0.33.0",
        "models": ["llama3.2:latest"],
    }  # fmt: skip
    assert [complaint["code"] for complaint in said["complaints"]] == ["model_missing"]
    assert KEY not in done.stdout + done.stderr


def test_a_broken_file_is_complained_about_as_everywhere(tmp_path: Path) -> None:
    (tmp_path / "turnout.yaml").write_text("bananas: 1\n", encoding="utf-8")
    done = doctor(tmp_path)
    assert done.returncode == 1
    assert "turnout.yaml:1" in done.stderr

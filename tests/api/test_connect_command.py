"""`turnout connect` in front of a running router, and of none."""

import asyncio
import json
import subprocess
from dataclasses import asdict

import pytest
from click.testing import CliRunner

from router.cli import main
from router.commands.remote import DEFAULT_URL
from router.connect import GUIDES
from router.connect.guide import Place

pytestmark = pytest.mark.anyio

FILE = """
server: {host: 0.0.0.0, port: 7171}
auth: {api_keys: [a-secret-key]}
backends: {desk: {type: ollama, url: "http://127.0.0.1:1"}}
models:
  embed: {targets: [desk/e], tags: [embedding]}
  small: {targets: [desk/s]}
  large: {targets: [desk/l]}
routing: {default_model: large}
"""


def said(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["connect", *words])
    return done.exit_code, done.output


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """No router at the address, and a settings file in the working folder."""
    monkeypatch.setenv("TURNOUT_URL", "http://127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "turnout.yaml").write_text(FILE)


@pytest.fixture
def running(office, monkeypatch):
    monkeypatch.setenv("TURNOUT_URL", office.r.url + "/")
    monkeypatch.setenv("TURNOUT_API_KEY", office.keys["admin"]["x-api-key"])
    return office


async def test_a_running_router_is_named_with_a_model_that_can_chat(running):
    status, told = await asyncio.to_thread(said, "openai-python", "--json")
    report = json.loads(told)
    assert (status, report["running"], report["url"]) == (0, True, running.r.url)
    assert report["model"] == report["models"][0]
    assert running.r.url in report["files"][0]["text"]
    assert json.dumps(report["model"]) in report["files"][0]["text"]


async def test_programs_get_the_very_snippet_that_the_tests_of_the_client_use(running):
    for guide in GUIDES:
        _, told = await asyncio.to_thread(said, guide.name, "--json", "--model", "my model")
        report = json.loads(told)
        snippet = json.loads(json.dumps(asdict(guide.write(Place(running.r.url, "my model")))))
        assert {name: report[name] for name in snippet} == snippet


async def test_the_key_is_never_printed(running):
    for guide in GUIDES:
        for more in ([], ["--json"]):
            assert running.keys["admin"]["x-api-key"] not in (await asyncio.to_thread(said, guide.name, *more))[1]


async def test_a_router_that_refuses_the_key_says_so(running, monkeypatch):
    monkeypatch.setenv("TURNOUT_API_KEY", "a-wrong-key")
    status, told = await asyncio.to_thread(said, "openai-python")
    assert (status, "TURNOUT_API_KEY" in told) == (1, True)


def test_without_a_router_the_settings_file_says_where_it_will_be(nobody):
    report = json.loads(said("openai-python", "--json")[1])
    assert (report["running"], report["url"]) == (False, "http://127.0.0.1:7171")
    assert (report["model"], report["models"]) == ("large", ["large", "small"])


def test_a_person_is_told_that_nobody_answered(nobody):
    status, told = said("openai-python", "--model", "small")
    assert (status, "No router answers at http://127.0.0.1:1" in told, 'model="small"' in told) == (0, True, True)
    assert "a-secret-key" not in told


def test_without_a_router_and_a_file_a_name_is_to_be_put_in(nobody, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "turnout.yaml").unlink()
    status, told = said("openai-python")
    assert (status, DEFAULT_URL in told, "put a name in place of MODEL" in told) == (0, True, True)


def test_every_client_is_listed(nobody):
    assert [row["client"] for row in json.loads(said("--json")[1])] == [guide.name for guide in GUIDES]
    assert all(guide.title in said()[1] for guide in GUIDES)


def test_a_client_that_nobody_knows_is_refused(nobody):
    status, told = said("netscape")
    assert (status, "openai-python" in told) == (2, True)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_what_is_printed_for_a_shell_is_shell(nobody, guide):
    told = said(guide.name, "--model", "it's $(a) model")[1]
    checked = subprocess.run(
        ["bash", "-n"], input=_without_files(told, guide), capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def _without_files(told: str, guide) -> str:
    for file in guide.write(Place("http://127.0.0.1:7171", "it's $(a) model")).files:
        assert file.text.rstrip() in told
        told = told.replace(file.text.rstrip(), "")
    return told

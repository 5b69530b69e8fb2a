"""`turnout ollama set-main` on a file, without a router and under one that watches it."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.cli import main
from router.config import parse
from router.config_watch import Source
from router.keeping import keeping_of
from tests.api.conftest import opened
from tests.commands.processes import on_terminal
from tests.fakes import FakeModel
from tests.running import running
from tests.surfaces.asking import asked, eventually

pytestmark = pytest.mark.anyio

TEXT = """\
# Ours.
server: {{port: 0, data_dir: {folder}}}

backends:
  desk:             # under the table
    type: ollama
    url: {desk}

  cloud:  # far away
    type: openai
    url: {cloud}

models:
  # For the editors.
  coder: {{targets: [desk/llama3.2, cloud/fake-chat]}}   # see Ada
  # The end.
"""
ADDED = """\
@@ -14,3 +14,10 @@
   # For the editors.
   coder: {targets: [desk/llama3.2, cloud/fake-chat]}   # see Ada
   # The end.
+  # added by `turnout ollama set-main`
+  qwen3:8b:
+    targets: [desk/qwen3:8b]
+
+routing:
+  # where requests go that name no other model
+  default_model: qwen3:8b
"""


@pytest.fixture
async def file(desk, cloud, tmp_path, monkeypatch) -> Path:
    """The settings file of a folder that a person is in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TURNOUT_CONFIG", raising=False)
    monkeypatch.setenv("TURNOUT_URL", "http://127.0.0.1:9")
    desk.models.append(FakeModel("qwen3:8b"))
    file = tmp_path / "turnout.yaml"
    file.write_text(TEXT.format(desk=desk.url, cloud=cloud.url, folder=tmp_path / "data"), encoding="utf-8")
    return file


async def main_is(*words: str, answer: str = ""):
    return await asyncio.to_thread(CliRunner().invoke, main, ["ollama", "set-main", *words], input=answer)


async def test_the_change_is_shown_made_and_nothing_more_than_it_has_to_be(file):
    before = file.read_text()
    done = await main_is("qwen3:8b")
    assert done.exit_code == 0, done.output
    head, _, said = done.stdout.partition(ADDED)
    assert head == "--- turnout.yaml\n+++ turnout.yaml\n"
    assert said.splitlines() == [
        "qwen3:8b on desk is the main model now",
        "the old file is turnout.yaml.bak; a running router takes the new one up by itself",
    ]
    assert file.read_text() == before + "".join(f"{line[1:]}\n" for line in ADDED.splitlines() if line[0] == "+")
    assert file.with_name("turnout.yaml.bak").read_text() == before


async def test_a_second_time_changes_nothing(file):
    await main_is("qwen3:8b")
    before = file.read_text()
    done = await main_is("qwen3:8b:latest".removesuffix(":latest"))
    assert (done.exit_code, done.stdout) == (0, "qwen3:8b on desk is the main model already: nothing is changed\n")
    assert file.read_text() == before


async def test_an_alias_that_leads_there_is_named(file):
    done = await main_is("llama3.2:latest")
    assert done.stdout.splitlines()[-2] == "llama3.2 on desk is the main model now, by the alias coder"
    added = [line for line in done.stdout.splitlines()[2:] if line.startswith("+")]
    assert added == ["+", "+routing:", "+  # where requests go that name no other model", "+  default_model: coder"]


@pytest.mark.parametrize(("answer", "status"), [("n\n", 1), ("", 1), ("y\n", 0)])
async def test_who_would_lose_the_main_model_of_before_is_asked(file, answer, status):
    await main_is("qwen3:8b")
    before = file.read_text()
    done = await main_is("llama3.2", answer=answer)
    assert (done.exit_code, file.read_text() == before) == (status, status == 1)
    assert "routing.default_model is qwen3:8b now. Replace it?" in done.stderr
    assert "-  default_model: qwen3:8b\n+  default_model: coder\n" in done.stdout


async def test_an_alias_that_would_lead_elsewhere_is_asked_about_or_not_with_yes(file):
    done = await main_is("qwen3:8b", "--alias", "coder", answer="n\n")
    assert (done.exit_code, "the alias coder leads to desk/llama3.2 now" in done.stderr) == (1, True)
    assert "nothing is changed" in done.stderr
    assert (await main_is("qwen3:8b", "--alias", "coder", "--yes")).exit_code == 0
    assert "  coder: {targets: [desk/qwen3:8b, desk/llama3.2, cloud/fake-chat]}   # see Ada" in file.read_text()


async def test_programs_get_json(file):
    told = json.loads((await main_is("qwen3:8b", "--json")).stdout)
    assert (told["backend"], told["model"], told["alias"], told["replaced"]) == ("desk", "qwen3:8b", "qwen3:8b", [])
    assert told["diff"].endswith(ADDED)
    assert told["backup"] == "turnout.yaml.bak"


@pytest.mark.parametrize("name", ["gemma3", "desk/gemma3"])
async def test_a_model_that_the_backend_has_not_is_told_with_the_way_to_have_it(file, name):
    before = file.read_text()
    done = await main_is(name)
    assert done.exit_code == 1
    assert "desk has no gemma3; it has: llama3.2:latest" in done.stderr
    assert "turnout ollama pull gemma3" in done.stderr
    assert file.read_text() == before


async def test_a_model_that_cannot_chat_is_no_main_model(file):
    done = await main_is("nomic-embed-text")
    assert (done.exit_code, "cannot chat" in done.stderr) == (1, True)


async def test_a_backend_that_sleeps_is_told_and_the_change_made(file, desk):
    await desk.stop()
    done = await main_is("gemma3")
    assert (done.exit_code, "desk does not answer" in done.stderr) == (0, True)
    assert "desk/gemma3" in file.read_text()


async def test_what_was_wrong_in_the_file_before_stays_so_and_nobody_is_asked(file):
    file.write_text(file.read_text().replace("# far away\n", "# far away\n    api_key: ${NOT_SET_HERE}\n"))
    done = await main_is("qwen3:8b")
    assert (done.exit_code, "${NOT_SET_HERE}" in file.read_text()) == (0, True), done.output
    assert "turnout check" in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("m", "--backend", "cloud"), 1, "there is no Ollama server cloud in it; there are: desk"),
        (("m", "--backend", "moon"), 1, "there is no Ollama server moon in it; there are: desk"),
        (("m", "--config", "nowhere.yaml"), 1, "nowhere.yaml: no such file"),
        ((), 2, "NAME"),
    ],
)
async def test_what_cannot_be_done_is_told(file, words, status, told):
    before = file.read_text()
    done = await main_is(*words)
    assert (done.exit_code, told in done.stderr, file.read_text() == before) == (status, True, True), done.output


async def test_several_servers_and_no_file_are_told(file, desk):
    file.write_text(file.read_text().replace("  cloud:", f"  den: {{type: ollama, url: '{desk.url}'}}\n  cloud:"))
    done = await main_is("qwen3:8b")
    assert (done.exit_code, "--backend desk or --backend den" in done.stderr) == (2, True)
    assert (await main_is("qwen3:8b", "--backend", "den")).exit_code == 0
    assert "targets: [den/qwen3:8b]" in file.read_text()
    file.unlink()
    done = await main_is("qwen3:8b")
    assert (done.exit_code, "there is no settings file here" in done.stderr) == (1, True)


@pytest.fixture
async def watched(file):
    """A router that watches the file."""
    text = file.read_text(encoding="utf-8")
    settings = parse(text, source="turnout.yaml", environ={})
    keeping = replace(keeping_of(settings), source=Source(file, {}, text, settings))
    async with running(settings.model_dump(exclude_unset=True), keeping=keeping) as r:
        watching = asyncio.create_task(r.router.watch.run())
        yield await opened(r)
        watching.cancel()


async def test_a_running_router_takes_it_up(file, watched, desk):
    unknown = {"json": asked("nobody-has-this"), "headers": watched.keys["ada"]}
    assert (await watched.r.client.post("/v1/chat/completions", **unknown)).status_code == 404
    assert (await main_is("qwen3:8b")).exit_code == 0
    await eventually(lambda: watched.r.router.fleet.catalog.default_model == "qwen3:8b")
    answer = await watched.r.client.post("/v1/chat/completions", **unknown)
    assert (answer.status_code, answer.headers["x-turnout-model"]) == (200, "qwen3:8b")


async def test_a_model_that_is_not_there_can_be_pulled_first(file, watched, run, desk):
    done = await run(watched, "ollama", "set-main", "gemma3", "--pull")
    assert done.exit_code == 0, done.output
    assert "gemma3:latest" in {model.name for model in desk.models}
    assert "default_model: gemma3\n" in file.read_text()
    done = await run(watched, "ollama", "set-main", "nobody", "--pull")
    assert (done.exit_code, "no registry has" in done.stderr) == (1, True)
    assert "nobody" not in file.read_text()


@pytest.mark.parametrize(("typed", "status"), [("n\n", 1), ("y\n", 0)])
async def test_on_a_terminal_the_pull_is_offered(file, watched, typed, status):
    shown = await on_terminal(watched, "ollama", "set-main", "gemma3", until="Pull it now?", typed=typed)
    assert shown.status == status
    assert ("default_model: gemma3" in file.read_text()) == (status == 0)

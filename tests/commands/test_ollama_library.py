"""`turnout ollama list`, `ps`, `show`, `rm`, `load` and `unload`."""

import json
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner

from router.cli import main
from tests.commands.processes import on_terminal
from tests.fakes import FakeModel, Scripted

pytestmark = pytest.mark.anyio

SHOWN = {
    "license": "Apache License\n\nVersion 2.0\nJanuary 2004\nTERMS",
    "template": "\n".join(f"line {n}" for n in range(30)) + "\n\x1b[31mred",
    "system": "Be brief.",
    "parameters": 'stop                           "<|im_end|>"\ntemperature                    0.6',
    "details": {"family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M"},
    "model_info": {"llama.context_length": 131072},
    "capabilities": ["completion", "tools"],
}


def cells(table: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()]


async def test_the_models_of_every_ollama_server_are_a_table(two, run):
    done = await run(two, "ollama", "list")
    assert (done.exit_code, done.stderr, "\x1b" in done.stdout) == (0, "", False)
    head, *rows = cells(done.stdout)
    assert head == ["backend", "name", "size", "modified", "family", "params", "quant", "context", "loaded"]
    assert [row[:3] + row[-2:] for row in rows] == [
        ["desk", "llama3.2:latest", "2.0 GB", "4,096", "yes"],
        ["desk", "nomic-embed-text:latest", "274 MB", "4,096", "no"],
        ["den", "phi4:14b", "2.0 GB", "4,096", "no"],
    ]
    assert rows[0][3].startswith("2026-08-2")


async def test_programs_get_all_that_is_known_of_them(two, run, desk):
    found = json.loads((await run(two, "ollama", "list", "--json")).stdout)
    assert [(each["backend"], each["name"]) for each in found] == [
        ("desk", "llama3.2:latest"),
        ("desk", "nomic-embed-text:latest"),
        ("den", "phi4:14b"),
    ]
    assert found[0]["digest"] == desk.models[0].digest
    only = json.loads((await run(two, "ollama", "list", "--backend", "den", "--json")).stdout)
    assert [each["name"] for each in only] == ["phi4:14b"]


async def test_what_has_come_since_the_last_look_is_listed(house, run, desk):
    desk.models.append(FakeModel("new:1b"))
    assert "new:1b" in (await run(house, "ollama", "list")).stdout


async def test_of_a_server_that_does_not_answer_it_is_said_that_its_list_is_old(two, run, den):
    await den.stop()
    done = await run(two, "ollama", "list")
    assert (done.exit_code, "phi4:14b" in done.stdout, "llama3.2" in done.stdout) == (0, True, True)
    assert "den does not answer" in done.stderr
    assert "desk" not in done.stderr


async def test_an_empty_server_says_how_to_begin(house, run, desk):
    desk.models.clear()
    assert "turnout ollama pull NAME" in (await run(house, "ollama", "list")).stdout
    assert (await run(house, "ollama", "list", "--json")).stdout == "[]\n"


async def test_what_is_in_memory_is_listed_with_how_much_and_for_how_long(two, run):
    head, *rows = cells((await run(two, "ollama", "ps")).stdout)
    assert head == ["backend", "name", "memory", "on GPU", "context", "for"]
    assert rows == [["desk", "llama3.2:latest", "2.0 GB", "100%", "4,096", "for ever"]]
    (loaded,) = json.loads((await run(two, "ollama", "ps", "--json")).stdout)
    assert (loaded["backend"], loaded["memory"], loaded["vram"]) == ("desk", 2_019_393_189, 2_019_393_189)


async def test_nothing_in_memory_is_said(two, run):
    assert (await run(two, "ollama", "ps", "--backend", "den")).stdout == "no model is loaded\n"


async def test_a_server_that_does_not_run_has_nothing_in_memory_that_could_be_told(house, run, desk):
    await desk.stop()
    done = await run(house, "ollama", "ps")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "is it running" in done.stderr


@pytest.mark.parametrize(
    ("columns", "wanted", "unwanted"),
    [(130, ["backend", "family", "modified", "loaded"], []), (80, ["name", "size", "loaded"], ["backend"])],
)
async def test_a_table_fits_its_terminal_and_never_cuts_a_name(house, desk, columns, wanted, unwanted):
    desk.models.append(FakeModel("hf.co/unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M"))
    shown = await on_terminal(house, "ollama", "list", columns=columns)
    head, *rows = shown.lines
    assert shown.status == 0
    assert all(each in head for each in wanted)
    assert not any(each in head for each in unwanted)
    assert "hf.co/unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M" in rows[-1]
    assert max(map(len, shown.lines)) <= columns


async def test_a_model_is_shown_on_less_than_a_screen(house, run, desk):
    desk.script("/api/show", Scripted(lines=[SHOWN]))
    done = await run(house, "ollama", "show", "llama3.2")
    assert done.exit_code == 0
    for told in ("llama3.2:latest on desk", "3.2B", "Q4_K_M", "131,072 tokens", "chat, tools", "Be brief.", "0.6"):
        assert told in done.stdout
    assert "'<|im_end|>'" in done.stdout
    assert ("line 11" in done.stdout, "line 12" in done.stdout) == (True, False)
    assert "19 more lines; --template prints all" in done.stdout
    assert "2 more lines; --license prints all" in done.stdout
    assert ("TERMS" in done.stdout, "\x1b" in done.stdout) == (False, False)


async def test_the_whole_of_a_model_is_for_those_who_ask(house, run, desk):
    desk.script("/api/show", Scripted(lines=[SHOWN]))
    card = json.loads((await run(house, "ollama", "show", "llama3.2", "--json")).stdout)
    assert (card["license"], card["template"]) == (SHOWN["license"], SHOWN["template"])
    assert (await run(house, "ollama", "show", "llama3.2", "--license")).stdout == SHOWN["license"] + "\n"
    assert "line 29" in (await run(house, "ollama", "show", "llama3.2", "--template")).stdout


@pytest.mark.parametrize("part", ["license", "template"])
async def test_nothing_in_the_whole_text_of_a_model_steers_a_terminal(house, run, desk, part):
    desk.script("/api/show", Scripted(lines=[{**SHOWN, part: "a\tb\r\n\n\x1b]0;title\x07c\rd\x9b2J"}]))
    shown = (await run(house, "ollama", "show", "llama3.2", f"--{part}")).stdout_bytes.decode()
    assert shown == "a\tb\n\n?]0;title?c?d?2J\n"


async def test_a_model_is_removed_by_those_who_mean_it(house, run, desk):
    done = await run(house, "ollama", "rm", "llama3.2", answer="n\n")
    assert (done.exit_code, len(desk.models)) == (1, 2)
    assert "Lead there: coder" in done.stderr
    done = await run(house, "ollama", "rm", "nomic-embed-text", answer="y\n")
    assert (done.exit_code, done.stdout) == (0, "nomic-embed-text is no longer on desk\n")
    assert "must be pulled again" in done.stderr
    done = await run(house, "ollama", "rm", "--yes", "--json", "llama3.2")
    assert (done.exit_code, json.loads(done.stdout)) == (0, [{"backend": "desk", "model": "llama3.2"}])
    assert desk.models == []


async def test_without_somebody_to_answer_nothing_is_removed(house, run, desk):
    assert (await run(house, "ollama", "rm", "llama3.2")).exit_code == 1
    assert len(desk.models) == 2


@pytest.mark.parametrize(("said", "sent"), [("10m", "10m"), ("-1", -1), ("90", 90)])
async def test_a_model_is_loaded_for_as_long_as_is_said(house, run, desk, said, sent):
    done = await run(house, "ollama", "load", "llama3.2", "--keep-alive", said)
    assert (done.exit_code, done.stdout) == (0, "llama3.2 is loaded on desk\n"), done.output
    (asked,) = [json.loads(each.body) for each in desk.requests if each.path == "/api/generate"]
    assert (asked["model"], asked["keep_alive"]) == ("llama3.2", sent)


async def test_a_model_that_only_embeds_is_loaded_and_let_go(house, run, desk):
    done = await run(house, "ollama", "load", "nomic-embed-text", "--keep-alive", "10m")
    assert (done.exit_code, done.stdout) == (0, "nomic-embed-text is loaded on desk\n"), done.output
    assert (await run(house, "ollama", "unload", "nomic-embed-text")).exit_code == 0
    asked = [(each.path, json.loads(each.body)["keep_alive"]) for each in desk.requests]
    assert asked == [("/api/embed", "10m"), ("/api/generate", 0)]


async def test_a_model_is_let_go(house, run, desk):
    done = await run(house, "ollama", "unload", "llama3.2")
    assert (done.exit_code, done.stdout) == (0, "llama3.2 is no longer loaded on desk\n"), done.output
    assert [json.loads(each.body)["keep_alive"] for each in desk.requests] == [0]
    desk.models[0] = replace(desk.models[0], loaded=True)
    kept = json.loads((await run(house, "ollama", "unload", "llama3.2", "--json")).stdout)
    assert (kept["backend"], kept["model"]) == ("desk", "llama3.2")


@pytest.mark.parametrize("words", [("show", "no"), ("rm", "--yes", "no"), ("load", "no"), ("unload", "no")])
async def test_a_model_that_is_not_there_is_named(house, run, words):
    done = await run(house, "ollama", *words)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "'no" in done.stderr


@pytest.mark.parametrize("name", ["..", ".", "../..", "a/../b", "", "/"])
@pytest.mark.parametrize(
    "words", [("show",), ("rm", "--yes"), ("load",), ("unload",), ("pull",), ("update",), ("set-main",)]
)
def test_a_name_that_would_be_another_path_is_refused_before_anything_is_sent(monkeypatch, words, name):
    monkeypatch.setenv("TURNOUT_URL", "http://127.0.0.1:9")
    done = CliRunner().invoke(main, ["ollama", *words, name])
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert ("'.' or '..'" in done.stderr) is ("." in name)
    assert ("the name of a model is missing" in done.stderr) is ("." not in name)


async def test_a_backend_is_still_there_after_somebody_removed_two_dots(house, run):
    assert (await run(house, "ollama", "rm", "--yes", "..")).exit_code == 2
    assert (await run(house, "ollama", "list")).exit_code == 0


@pytest.mark.parametrize(
    "words", [("show", "m"), ("rm", "m"), ("load", "m"), ("unload", "m"), ("pull", "m"), ("update",)]
)
async def test_with_several_servers_one_has_to_be_named(two, run, words):
    done = await run(two, "ollama", *words)
    assert (done.exit_code, "--backend desk or --backend den" in done.stderr) == (2, True)


@pytest.mark.parametrize("words", [("list",), ("ps",), ("pull", "m"), ("pulls",), ("update",)])
async def test_no_router_is_told_apart_from_a_router_that_says_no(house, run, words):
    nowhere = replace(house, r=replace(house.r, url="http://127.0.0.1:9"))
    done = await run(nowhere, "ollama", *words)
    assert (done.exit_code, "TURNOUT_URL" in done.stderr, done.stdout) == (3, True, "")


@pytest.mark.parametrize("words", [("list",), ("ps",), ("pull", "m"), ("show", "m"), ("pulls",)])
@pytest.mark.parametrize(
    ("named", "told"),
    [("moon", "there is no backend moon; Ollama servers: desk, den"), ("cloud", "cloud is no Ollama server")],
)
async def test_a_backend_that_is_none_or_another_is_told(two, run, words, named, told):
    done = await run(two, "ollama", *words, "--backend", named)
    assert (done.exit_code, told in done.stderr) == (1, True), done.output

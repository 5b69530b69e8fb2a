"""`turnout backends`, `users`, `keys`, `usage` and `queue` against a running router."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from router.cli import main
from tests.surfaces.asking import asked, eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def run(office, monkeypatch):
    return running_as_admin(office, monkeypatch)


@pytest.fixture
def run_filed(filed, monkeypatch):
    return running_as_admin(filed, monkeypatch)


def running_as_admin(office, monkeypatch):
    monkeypatch.setenv("TURNOUT_URL", office.r.url)
    monkeypatch.setenv("TURNOUT_API_KEY", office.keys["admin"]["x-api-key"])

    async def run(*words: str) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, main, list(words))
        return done.exit_code, done.output

    return run


async def test_a_user_gets_a_key_that_works_until_it_is_revoked(office, run):
    assert (await run("users", "add", "carl"))[0] == 0
    status, said = await run("keys", "create", "carl", "--model", "coder", "--expires", "30d", "--rpm", "5", "--json")
    assert status == 0
    (made,) = json.loads(said)
    headers = {"x-api-key": made["key"]}
    assert (await office.r.client.post("/v1/chat/completions", json=asked("coder"), headers=headers)).status_code == 200
    status, listed = await run("keys", "list", "--json")
    (key,) = [each for each in json.loads(listed) if each["id"] == made["id"]]
    assert (key["models"], key["requests_per_minute"], key["expires_at"] > 0) == (["coder"], 5, True)
    assert made["key"] not in listed
    assert await run("keys", "revoke", made["id"]) == (0, "")
    assert (await office.r.client.get("/v1/models", headers=headers)).status_code == 401
    assert await run("users", "remove", "carl") == (0, "")
    assert "carl" not in (await run("users", "list"))[1]


async def test_usage_is_a_table_or_json(office, run):
    await office.ask("POST", "/v1/chat/completions", "ada", json=asked("coder"))
    await eventually(lambda: office.r.router.storage.state.written == 1)
    status, said = await run("usage", "--by", "user")
    assert (status, "ada" in said, "\x1b" in said) == (0, True, False)
    assert json.loads((await run("usage", "--by", "user", "--json"))[1])["totals"][0]["name"] == "ada"


async def test_the_queue_is_shown(run):
    assert await run("queue") == (0, "0 waiting, 0 in flight\n")


async def test_a_backend_is_added_tested_listed_and_removed(office, run, lab, monkeypatch):
    monkeypatch.setenv("TURNOUT_BACKEND_KEY", "planted-upstream-secret")
    status, said = await run("backends", "add", "lab", "ollama", lab.url, "--max-parallel", "2", "--json")
    assert (status, json.loads(said)[0]["options"], "planted" in said) == (0, {"max_parallel": 2}, False)
    status, said = await run("backends", "test", "lab")
    assert (status, "lab is connected" in said, "2 models" in said) == (0, True, True), said
    status, said = await run("backends", "models", "lab", "--refresh", "--json")
    assert "llama3.2:latest" in [model["name"] for model in json.loads(said)]
    assert await run("backends", "select", "lab", "llama3.2") == (0, "")
    status, said = await run("backends", "list", "--json")
    assert {each["name"]: each["selected_model"] for each in json.loads(said)} == {
        "desk": None,
        "lab": "llama3.2:latest",
    }
    assert "lab" in (await run("backends", "list"))[1]
    assert await run("backends", "remove", "lab") == (0, "")
    assert "lab" not in office.r.router.fleet.adapters


@pytest.mark.parametrize("whose", [("--user", "ada"), ("--mine",)])
async def test_a_private_backend_is_added_tested_listed_and_removed(office, run, lab, monkeypatch, whose):
    if whose == ("--mine",):
        monkeypatch.setenv("TURNOUT_API_KEY", office.keys["ada"]["x-api-key"])
    status, said = await run("backends", "add", "lab", "ollama", lab.url, *whose, "--json")
    assert (status, json.loads(said)[0]["user_id"]) == (0, office.ids["ada"]), said
    assert (await run("backends", "test", "lab", *whose))[0] == 0
    assert "llama3.2:latest" in (await run("backends", "models", "lab", "--refresh", *whose))[1]
    assert await run("backends", "select", "lab", "llama3.2", *whose) == (0, "")
    status, said = await run("backends", "list", "--json", *whose)
    assert {each["name"]: each["selected_model"] for each in json.loads(said)} == {"lab": "llama3.2:latest"}
    assert f"lab@{office.ids['ada']}" in office.r.router.fleet.adapters
    assert await run("backends", "remove", "lab", *whose) == (0, "")
    assert list(office.r.router.fleet.adapters) == ["desk"]


async def test_a_backend_that_cannot_be_used_is_told_with_its_mend_and_an_exit_status(run):
    await run("backends", "add", "gone", "openai", "http://127.0.0.1:9")
    status, said = await run("backends", "test", "gone")
    assert (status, "nothing listens" in said, "backends.gone.url" in said) == (1, True, True), said


async def test_a_change_of_the_file_is_shown(filed, run_filed, lab, tmp_path):
    status, said = await run_filed("backends", "add", "lab", "ollama", lab.url, "--write-file")
    assert (status, "+  lab:" in said, "turnout.yaml.bak" in said) == (0, True, True), said
    status, said = await run_filed("backends", "remove", "lab", "--write-file")
    assert (status, "-  lab:" in said) == (0, True), said
    assert "lab" not in (tmp_path / "turnout.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("backends", "remove", "desk"), 1, "write_file=true"),
        (("backends", "test", "moon"), 1, "backends: desk"),
        (("backends", "test", "desk", "--user", "ada"), 1, "backends: none"),
        (("backends", "list", "--user", "nobody-of-that-name"), 1, "there is no user"),
        (("backends", "remove", "desk", "--mine", "--write-file"), 2, "only one of"),
        (("backends", "add", "x", "moonshine", "http://127.0.0.1:9"), 2, "moonshine"),
        (("backends", "add", "x", "openai", "ftp://host"), 1, "http"),
        (("users", "remove", "nobody-of-that-name"), 1, "there is no user"),
        (("users", "add", "ada"), 1, "there is a user ada already"),
        (("keys", "revoke", "../users"), 2, "that is no id"),
        (("keys", "create", "ada", "--expires", "soon"), 2, "12h, 30d, 8w"),
        (("keys", "create", "ada", "--scope", "everything"), 2, "everything"),
    ],
)
async def test_what_cannot_be_done_is_told_and_has_an_exit_status(run, words, status, told):
    code, said = await run(*words)
    assert (code, told in said) == (status, True), said


async def test_a_wrong_key_and_no_router_are_told_apart(run, monkeypatch):
    monkeypatch.setenv("TURNOUT_API_KEY", "wrong-planted-key")
    code, said = await run("users", "list")
    assert (code, "TURNOUT_API_KEY" in said, "planted" in said) == (1, True, False)
    monkeypatch.setenv("TURNOUT_URL", "http://127.0.0.1:9")
    assert (await run("users", "list"))[0] == 3

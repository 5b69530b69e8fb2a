"""`/api/backends` and commands to run: nobody can give one there, and nobody sees those of the file."""

import pytest

from router.storage.values import BackendDefinition
from tests.api.conftest import Office, opened
from tests.processes.test_gguf import QWEN
from tests.running import running
from tests.surfaces.asking import error_of

pytestmark = pytest.mark.anyio


LAUNCH = {"launch": {"model": "m.gguf", "command": "/bin/sh", "args": ["-c", "touch planted"]}}
PROCESS = {"name": "mine", "type": "llama_cpp", **LAUNCH}


async def processes_of(office: Office) -> list[object]:
    assert not office.r.router.fleet.processes.leaving
    return [*office.r.router.fleet.processes.runs]


@pytest.mark.parametrize("params", [{}, {"write_file": "true"}])
async def test_nobody_starts_a_command_by_adding_a_backend(filed, params, tmp_path):
    before = (tmp_path / "turnout.yaml").read_text()
    refused = await filed.ask("POST", "/api/backends", json=PROCESS, params=params)
    assert refused.status_code == 400
    assert "settings file" in error_of(refused)["message"]
    assert [entry["name"] for entry in (await filed.ask("GET", "/api/backends")).json()] == ["desk"]
    assert (tmp_path / "turnout.yaml").read_text() == before
    assert await processes_of(filed) == []


@pytest.mark.parametrize("params", [{}, {"write_file": "true"}])
async def test_nobody_starts_a_command_by_changing_a_backend(filed, lab, params):
    added = await filed.ask("POST", "/api/backends", json={"name": "lab", "type": "ollama", "url": lab.url})
    backend_id = added.json()["id"]
    for which in (backend_id, "desk"):
        change = {"type": "llama_cpp", **LAUNCH}
        refused = await filed.ask("PATCH", f"/api/backends/{which}", json=change, params=params)
        assert refused.status_code == 400
        assert "launch" in error_of(refused)["message"]
    assert await processes_of(filed) == []


async def test_a_command_that_somebody_has_written_into_the_database_is_not_run(office):
    settings = {"model": "m.gguf", "command": "/bin/sh", "when": "always"}
    definition = BackendDefinition(
        name="mine", kind="llama_cpp", url="http://127.0.0.1", options={"launch": settings, "weight": 2.0}
    )
    await office.stored.backends.add(definition)
    (_, mine) = (await office.ask("GET", "/api/backends")).json()
    assert (mine["name"], mine["source"]) == ("mine", "database")
    assert "settings file" in mine["problem"]
    assert "mine" not in office.r.router.fleet.adapters
    assert await processes_of(office) == []
    refused = await office.ask("PATCH", f"/api/backends/{mine['id']}", json={"weight": 3.0})
    assert (refused.status_code, error_of(refused)["param"]) == (400, "launch")


async def test_a_process_of_the_file_is_shown_without_its_paths_and_arguments(tmp_path):
    (tmp_path / "Qwen.gguf").write_bytes(QWEN)
    launch = {"model": str(tmp_path / "Qwen.gguf"), "command": "/bin/false", "args": ["--planted"]}
    config = {"backends": {"mine": {"type": "llama_cpp", "launch": launch}}, "server": {"data_dir": str(tmp_path)}}
    async with running(config) as r:
        office = await opened(r)
        shown = await office.ask("GET", "/api/backends")
        assert shown.json()[0]["options"] == {"launch": {"model": "Qwen.gguf", "when": "on_demand"}}
        assert "planted" not in shown.text
        assert str(tmp_path) not in shown.text
        tested = (await office.ask("POST", "/api/backends/mine/test")).json()
        assert (tested["connected"], tested["models"]) == (True, ["Qwen"])
        assert not r.router.fleet.processes.runs["mine"].child.is_alive

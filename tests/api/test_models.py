"""Models where they live: pulled, followed, shown, loaded, let go and deleted through /api."""

from contextlib import asynccontextmanager

import pytest

from tests.api.conftest import opened
from tests.fakes import FakeBackend, FakeModel
from tests.running import running
from tests.surfaces.asking import alias, backends, calling, error_of, eventually, idle
from tests.surfaces.test_llama import config as launching

pytestmark = pytest.mark.anyio

NAME = "hf.co/org/model:Q4_K_M"


@pytest.fixture
async def ollama(anyio_backend):
    async with FakeBackend([FakeModel("llama3.2:latest"), FakeModel(NAME, loaded=False)], flavour="ollama") as fake:
        yield fake


@pytest.fixture
async def office(ollama, fake, tmp_path):
    config = {
        "backends": backends({"desk": ollama, "cloud": fake}),
        "models": alias("small", f"desk/{NAME}", context_length=2048),
        "server": {"data_dir": str(tmp_path)},
    }
    async with running(config) as r:
        yield await opened(r)


@pytest.mark.parametrize("written", [NAME, "hf.co%2Forg%2Fmodel%3AQ4_K_M"])
async def test_a_name_may_hold_slashes_and_colons(office, written):
    shown = await office.ask("GET", f"/api/backends/desk/models/{written}")
    assert shown.status_code == 200, shown.text
    assert (shown.json()["name"], shown.json()["loaded"]) == (NAME, False)
    loaded = await office.ask("POST", f"/api/backends/desk/models/{written}/load", json={"keep_alive": "10m"})
    assert (loaded.status_code, loaded.json()["model"]) == (200, NAME)
    gone = await office.ask("DELETE", f"/api/backends/desk/models/{written}")
    assert (gone.status_code, gone.json()) == (200, {"backend": "desk", "model": NAME})
    assert (await office.ask("GET", f"/api/backends/desk/models/{written}")).status_code == 404


async def test_a_model_is_shown_in_all_its_details(office):
    shown = (await office.ask("GET", "/api/backends/desk/models/llama3.2")).json()
    assert shown["template"] == "{{ .Prompt }}"
    assert shown["parameters"] == {"num_ctx": 4096}
    assert (shown["family"], shown["parameter_size"], shown["quantization"]) == ("llama", "3.2B", "Q4_K_M")
    assert (shown["capabilities"], shown["context"], shown["trained_context"]) == (["chat"], 4096, 4096)
    assert (shown["name"], shown["backend"], shown["loaded"]) == ("llama3.2:latest", "desk", True)


async def test_of_other_servers_what_their_lists_say_is_shown(office):
    shown = (await office.ask("GET", "/api/backends/cloud/models/fake-chat")).json()
    assert (shown["name"], shown["template"], shown["parameters"]) == ("fake-chat", None, {})
    assert (await office.ask("GET", "/api/backends/cloud/models/nobody")).status_code == 404


async def test_a_model_is_loaded_as_its_alias_would_have_it_and_let_go(office, ollama):
    ollama.load_s = 0.0
    path = f"/api/backends/desk/models/{NAME}"
    loaded = await office.ask("POST", f"{path}/load", json={"keep_alive": "10m"})
    assert loaded.json() == {"backend": "desk", "model": NAME, "loaded": True}
    asked = ollama.requests[-1].json
    assert (asked["keep_alive"], asked["options"]) == ("10m", {"num_ctx": 2048})
    (there,) = (await office.ask("GET", "/api/backends/desk/ps")).json()
    assert (there["name"], there["context"], there["vram"]) == (NAME, 4096, there["size"])
    assert (await office.ask("POST", f"{path}/unload")).status_code == 200
    assert ollama.requests[-1].json["keep_alive"] == 0


@pytest.mark.parametrize(("name", "whole"), [("pull", "pull:latest"), ("pull/it:1b", "pull/it:1b")])
async def test_a_model_may_be_called_as_what_is_done_to_others(office, ollama, name, whole):
    ollama.load_s = 0.0
    ollama.models.append(FakeModel(whole, loaded=False))
    await office.ask("GET", "/api/backends/desk/models", params={"refresh": "true"})
    for action, kept in (("load", "10m"), ("unload", 0)):
        answer = await office.ask("POST", f"/api/backends/desk/models/{name}/{action}", json={"keep_alive": "10m"})
        assert (answer.status_code, answer.json()["model"]) == (200, name)
        assert (ollama.requests[-1].json["model"], ollama.requests[-1].json["keep_alive"]) == (name, kept)
    assert (await office.ask("POST", f"/api/backends/desk/models/{name}/planted", json={})).status_code == 404
    if name == "pull":
        shown = await office.ask("GET", f"/api/backends/desk/models/{whole}")
        assert (shown.status_code, shown.json()["name"]) == (200, whole)


async def test_nothing_has_to_be_said_to_load_a_model(office, ollama):
    for more in ({}, {"json": {}}):
        assert (await office.ask("POST", "/api/backends/desk/models/llama3.2/load", **more)).status_code == 200
        assert "keep_alive" not in ollama.requests[-1].json


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "desk/models/nobody", None, 404, "desk has no model 'nobody'"),
        ("DELETE", "desk/models/nobody", None, 404, "desk has no model 'nobody'"),
        ("POST", "desk/models/nobody/load", {}, 404, "desk has no model 'nobody'"),
        ("POST", "desk/models/nobody/unload", {}, 404, "desk has no model 'nobody'"),
        ("POST", "desk/models/load", {}, 400, "missing"),
        ("POST", "desk/models/llama3.2", {}, 404, "/load or /unload"),
        ("POST", "desk/models/llama3.2/load", {"planted": 1}, 400, "planted"),
        ("GET", "nobody/models/x", None, 404, "no such backend"),
        ("GET", "nobody/ps", None, 404, "no such backend"),
        ("DELETE", "cloud/models/fake-chat", None, 501, "cloud"),
        ("POST", "cloud/models/fake-chat/load", {}, 501, "cloud"),
        ("POST", "cloud/models/fake-chat/unload", {}, 501, "cloud"),
    ],
)
async def test_what_cannot_be_done_is_told_in_a_sentence(office, method, path, body, status, words):
    answer = await office.ask(method, f"/api/backends/{path}", json=body)
    assert answer.status_code == status
    assert words in error_of(answer)["message"]


async def test_a_backend_that_is_switched_off_is_a_503(ollama, tmp_path):
    config = {"backends": backends({"desk": ollama}, enabled=False), "server": {"data_dir": str(tmp_path)}}
    async with running(config) as r:
        office = await opened(r)
        answer = await office.ask("GET", "/api/backends/desk/ps")
        assert (answer.status_code, "switched off" in error_of(answer)["message"]) == (503, True)


async def test_whoever_leaves_while_a_model_loads_is_forgotten(office, ollama):
    ollama.load_s = 30.0
    head = f"x-api-key: {office.keys['admin']['x-api-key']}\r\ncontent-type: application/json\r\n"
    async with calling(office.r, f"/api/backends/desk/models/{NAME}/load", {}, head=head):
        await ollama.until(lambda: any(each.path == "/api/generate" for each in ollama.requests))
    await ollama.until(lambda: len(ollama.disconnects) == 1)
    await eventually(lambda: idle(office.r))


async def test_a_server_that_takes_too_long_is_a_504(ollama, tmp_path):
    limited = backends({"desk": ollama}, timeouts={"first_token": 0.1, "load": 0.1})
    async with running({"backends": limited, "server": {"data_dir": str(tmp_path)}}) as r:
        office = await opened(r)
        ollama.load_s = 30.0
        answer = await office.ask("POST", f"/api/backends/desk/models/{NAME}/load")
        assert (answer.status_code, error_of(answer)["code"]) == (504, "backend_timeout")


@pytest.fixture
async def llama(anyio_backend):
    async with FakeBackend([FakeModel("big"), FakeModel("small", loaded=False)], flavour="llama_cpp") as fake:
        yield fake


@asynccontextmanager
async def served(folder, **fakes):
    config = {"backends": backends(fakes), "server": {"data_dir": str(folder)}}
    async with running(config) as r:
        yield await opened(r)


async def test_a_llama_cpp_of_several_models_loads_them_and_lets_them_go(llama, tmp_path):
    llama.several = True
    async with served(tmp_path, desk=llama) as office:
        for _ in range(2):
            loaded = await office.ask("POST", "/api/backends/desk/models/small/load")
            assert (loaded.status_code, loaded.json()["loaded"]) == (200, True)
        there = (await office.ask("GET", "/api/backends/desk/ps")).json()
        assert {model["name"] for model in there} == {"big", "small"}
        for _ in range(2):
            gone = await office.ask("POST", "/api/backends/desk/models/big/unload")
            assert (gone.status_code, gone.json()["loaded"]) == (200, False)
        assert (await office.ask("POST", "/api/backends/desk/models/nobody/load")).status_code == 404
    assert [each.path for each in llama.requests] == ["/models/load", "/models/unload"]


async def test_one_that_cannot_load_a_model_says_so(llama, tmp_path):
    llama.several, llama.models = True, [FakeModel("broken", loaded=False)]
    async with served(tmp_path, desk=llama) as office:
        answer = await office.ask("POST", "/api/backends/desk/models/broken/load")
        assert (answer.status_code, "could not load broken" in error_of(answer)["message"]) == (502, True)


async def test_a_llama_cpp_of_one_model_has_nothing_to_load(llama, tmp_path):
    async with served(tmp_path, desk=llama) as office:
        for action in ("load", "unload"):
            answer = await office.ask("POST", f"/api/backends/desk/models/big/{action}")
            assert (answer.status_code, "one model" in error_of(answer)["message"]) == (501, True)


async def test_a_llama_cpp_that_the_router_runs_is_started_and_stopped(tmp_path):
    keeper = {"key": "a-key-for-tests", "scopes": ["admin"]}
    headers = {"authorization": "Bearer a-key-for-tests"}
    async with running(launching(tmp_path, auth={"api_keys": [keeper]}), headers=headers) as r:
        path, processes = "/api/backends/desk/models/Qwen", r.router.fleet.processes
        assert (await r.client.post(f"{path}/load")).json() == {"backend": "desk", "model": "Qwen", "loaded": True}
        assert processes.runs["desk"].child.is_alive
        assert (await r.client.post("/api/backends/desk/models/another/load")).status_code == 404
        assert (await r.client.post(f"{path}/unload")).json()["loaded"] is False
        await eventually(lambda: not processes.runs["desk"].child.is_alive)

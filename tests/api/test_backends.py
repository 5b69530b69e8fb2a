"""`/api/backends`: what there is, adding, changing, removing, looking; in the database and in the settings file."""

import asyncio

import pytest

from router.config import parse
from router.surfaces.admin.backend_forms import NewBackend
from tests.api.conftest import Office
from tests.fakes import FakeBackend, Faults
from tests.running import running
from tests.surfaces.asking import asked, backends, calling, error_of, eventually, streamed

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
SECRET = "planted-upstream-secret"


def new(lab: FakeBackend, **more: object) -> dict[str, object]:
    return {"name": "lab", "type": "ollama", "url": lab.url, "api_key": SECRET, **more}


async def added(office: Office, lab: FakeBackend, **more: object) -> str:
    response = await office.ask("POST", "/api/backends", json=new(lab, **more))
    assert response.status_code == 201, response.text
    return response.json()["id"]


async def state_of(office: Office, name: str) -> dict[str, object]:
    statuses = (await office.ask("GET", "/api/backends/status")).json()
    return next(status for status in statuses if status["name"] == name)


async def up(office: Office, name: str) -> None:
    async with asyncio.timeout(10):
        while (await state_of(office, name))["state"] != "up":
            await asyncio.sleep(0.01)


async def test_what_the_file_says_is_shown_as_read_only_and_without_secrets(office):
    response = await office.ask("GET", "/api/backends")
    (desk,) = response.json()
    assert (desk["id"], desk["source"], desk["read_only"], desk["has_api_key"]) == ("desk", "file", True, True)
    assert "planted" not in response.text
    (coder,) = (await office.ask("GET", "/api/aliases")).json()
    assert (coder["name"], coder["targets"], coder["source"]) == ("coder", ["desk/fake-chat"], "file")


async def test_an_added_backend_serves_at_once_and_is_there_after_a_restart(office, lab, fake, tmp_path):
    backend_id = await added(office, lab, timeouts={"idle": "30s"}, headers={"X-Team": "planted-header"})
    shown = await office.ask("GET", f"/api/backends/{backend_id}")
    report = shown.json()
    assert (report["name"], report["source"], report["read_only"]) == ("lab", "database", False)
    assert (report["has_api_key"], report["header_names"]) == (True, ["X-Team"])
    assert report["options"] == {"timeouts": {"idle": 30.0}}
    assert "planted" not in shown.text
    key = {"headers": office.keys["bob"]}
    answer = await office.r.client.post(CHAT, json=asked("lab/llama3.2"), **key)
    assert answer.json()["choices"][0]["message"]["content"] == "I am lab."
    assert lab.requests[-1].headers["authorization"] == f"Bearer {SECRET}"
    again = {"backends": backends({"desk": fake}), "server": {"data_dir": str(tmp_path)}}
    async with running(again) as r:
        await r.router.storage.opened.wait()
        await eventually(lambda: "lab" in r.router.fleet.adapters)
        assert (await r.client.post(CHAT, json=asked("lab/llama3.2"), **key)).status_code == 200


async def test_secrets_are_nowhere_in_the_database_file(office, lab, tmp_path):
    await added(office, lab, headers={"X-Team": "planted-header"})
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"lab" in kept
    assert b"planted" not in kept


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"name": "desk"}, 409, "desk"),
        ({"name": "status"}, 400, "status"),
        ({"name": "a/b"}, 400, "name"),
        ({"url": "ftp://planted-host"}, 400, "url"),
        ({"url": "http://user:planted@host"}, 400, "url"),
        ({"type": "planted"}, 400, "type"),
        ({"weight": -1}, 400, "weight"),
        ({"planted_field": 1}, 400, "planted_field"),
        ({"type": "claude", "url": None, "api_key": None}, 400, "api_key"),
        ({"stream": False, "stream_only": ["*"]}, 400, "stream_only"),
    ],
)
async def test_what_cannot_be_a_backend_is_told_in_clear_words(office, lab, change, status, told):
    response = await office.ask("POST", "/api/backends", json=new(lab, **change))
    assert (response.status_code, told in error_of(response)["message"]) == (status, True), response.text
    assert "planted-host" not in response.text
    assert "user:planted" not in response.text
    assert [each["name"] for each in (await office.ask("GET", "/api/backends")).json()] == ["desk"]


async def test_the_same_name_twice_is_refused(office, lab):
    await added(office, lab)
    response = await office.ask("POST", "/api/backends", json=new(lab))
    assert (response.status_code, error_of(response)["code"]) == (409, "already_exists")


async def test_a_change_counts_at_once_and_leaves_what_it_does_not_name(office, lab):
    backend_id = await added(office, lab, weight=2)
    changed = await office.ask("PATCH", f"/api/backends/{backend_id}", json={"max_parallel": 3, "weight": None})
    assert changed.json()["options"] == {"max_parallel": 3}
    assert changed.json()["has_api_key"] is True
    assert office.r.router.reload.live.settings.backends["lab"].max_parallel == 3
    gone = await office.ask("PATCH", f"/api/backends/{backend_id}", json={"api_key": None, "enabled": False})
    assert (gone.json()["has_api_key"], gone.json()["enabled"], gone.json()["state"]) == (False, False, "disabled")
    assert (await office.ask("POST", CHAT, "bob", json=asked("lab/llama3.2"))).status_code == 404
    refused = await office.ask("PATCH", f"/api/backends/{backend_id}", json={"url": "nowhere://planted"})
    assert (refused.status_code, "planted" in refused.text) == (400, False)


async def test_removing_a_backend_lets_what_runs_there_finish_and_sends_nothing_new(office, lab):
    backend_id = await added(office, lab)
    await up(office, "lab")
    lab.reply, lab.faults = "on and on " * 50, Faults(chunk_delay_s=0.02)  # 3 s at least
    head = f"x-api-key: {office.keys['bob']['x-api-key']}\r\n"
    async with calling(office.r, body=asked("lab/llama3.2", stream=True), head=head) as caller:
        await caller.until(b"data:")
        removed = await office.ask("DELETE", f"/api/backends/{backend_id}")
        assert (removed.status_code, removed.json()["in_flight"]) == (200, 1)
        assert (await office.ask("GET", f"/api/backends/{backend_id}")).status_code == 404
        assert (await office.ask("POST", CHAT, "bob", json=asked("lab/llama3.2"))).status_code == 404
        await caller.until(b"[DONE]")
    await eventually(lambda: "lab" not in office.r.router.fleet.leaving)


async def test_an_unknown_backend_is_a_404_everywhere(office):
    for method, rest in (("GET", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/models")):
        response = await office.ask(method, f"/api/backends/backend_0{rest}")
        assert (response.status_code, error_of(response)["code"]) == (404, "not_found")
    assert (await office.ask("PATCH", "/api/backends/backend_0", json={"weight": 1})).status_code == 404


async def test_a_test_says_what_it_found(office, lab):
    backend_id = await added(office, lab)
    report = (await office.ask("POST", f"/api/backends/{backend_id}/test")).json()
    assert (report["connected"], report["complaints"]) == (True, [])
    assert report["latency_ms"] > 0
    assert report["version"]
    assert "llama3.2:latest" in report["models"]


@pytest.mark.parametrize(
    ("change", "told", "mend"),
    [
        ({"url": "http://127.0.0.1:9"}, "nothing listens", "url"),
        ({"type": "llama_cpp"}, "answers like", "type"),
    ],
)
async def test_a_failed_test_says_why_and_how_to_mend_it(office, lab, change, told, mend):
    backend_id = await added(office, lab, **change)
    response = await office.ask("POST", f"/api/backends/{backend_id}/test")
    report = response.json()
    assert (response.status_code, report["connected"]) == (200, False)
    assert told in report["complaints"][0]["what"]
    assert mend in report["complaints"][0]["mend"]
    assert "planted" not in response.text


async def test_a_backend_that_is_switched_off_can_be_tested(office, lab):
    backend_id = await added(office, lab, enabled=False)
    assert (await office.ask("POST", f"/api/backends/{backend_id}/test")).json()["connected"] is True


async def test_models_are_told_with_what_is_known_of_them(office, lab):
    backend_id = await added(office, lab)
    await up(office, "lab")
    models = (await office.ask("GET", f"/api/backends/{backend_id}/models")).json()
    model = next(model for model in models if model["name"] == "llama3.2:latest")
    assert (model["family"], model["parameters"], model["quantization"]) == ("llama", "3.2B", "Q4_K_M")
    assert (model["size"], model["loaded"], "tools" in model["capabilities"]) == (2_019_393_189, True, True)
    assert model["modified"] > 0
    assert model["context"] > 0


async def test_a_refresh_asks_the_backend_and_the_models_are_known_after_it_is_gone(office, lab):
    backend_id = await added(office, lab)
    await up(office, "lab")
    lab.models = [model for model in lab.models if model.name.startswith("nomic")]
    (model,) = (await office.ask("GET", f"/api/backends/{backend_id}/models?refresh=true")).json()
    assert model["name"] == "nomic-embed-text:latest"
    await office.ask("PATCH", f"/api/backends/{backend_id}", json={"url": "http://127.0.0.1:9"})
    (model,) = (await office.ask("GET", f"/api/backends/{backend_id}/models?refresh=true")).json()
    assert (model["name"], model["loaded"]) == ("nomic-embed-text:latest", None)
    assert model["last_seen"] > 0


async def test_a_selected_model_is_told_and_kept(office, lab):
    backend_id = await added(office, lab)
    await up(office, "lab")
    chosen = await office.ask("POST", f"/api/backends/{backend_id}/select-model", json={"model": "llama3.2"})
    assert (chosen.status_code, chosen.json()["selected_model"]) == (200, "llama3.2:latest")
    assert (await state_of(office, "lab"))["selected_model"] == "llama3.2:latest"
    models = (await office.ask("GET", f"/api/backends/{backend_id}/models")).json()
    assert [model["name"] for model in models if model["selected"]] == ["llama3.2:latest"]
    unknown = await office.ask("POST", f"/api/backends/{backend_id}/select-model", json={"model": "moon"})
    assert (unknown.status_code, "llama3.2:latest" in error_of(unknown)["message"]) == (404, True)
    of_file = await office.ask("POST", "/api/backends/desk/select-model", json={"model": "fake-chat"})
    assert of_file.json()["selected_model"] == "fake-chat"


async def test_the_status_tells_how_each_backend_is(office, lab):
    await added(office, lab)
    await up(office, "lab")
    status = await state_of(office, "lab")
    assert (status["in_flight"], status["queue"], status["drained"], status["last_error"]) == (0, 0, False, None)
    assert status["last_ping"] > 1_000_000_000
    assert status["models"] == 2
    await office.ask("POST", "/api/backends", json=new(lab, name="gone", url="http://127.0.0.1:9"))
    async with asyncio.timeout(10):
        while (await state_of(office, "gone"))["state"] != "down":
            await asyncio.sleep(0.01)
    assert (await state_of(office, "gone"))["last_error"]


async def test_what_the_file_says_is_not_changed_unless_that_is_asked(filed):
    for method, body in (("PATCH", {"weight": 3}), ("DELETE", None)):
        response = await filed.ask(method, "/api/backends/desk", json=body)
        assert (response.status_code, error_of(response)["code"]) == (409, "read_only")
        assert "write_file=true" in error_of(response)["message"]


async def test_a_change_is_written_into_the_file_with_its_comments_and_a_copy_of_the_old_one(filed, tmp_path):
    before = (tmp_path / "turnout.yaml").read_text(encoding="utf-8")
    response = await filed.ask("PATCH", "/api/backends/desk?write_file=true", json={"weight": 3})
    report = response.json()
    assert (response.status_code, report["options"], report["source"]) == (200, {"weight": 3.0}, "file")
    after = (tmp_path / "turnout.yaml").read_text(encoding="utf-8")
    assert "# what stands on the desk" in after
    assert "type: openai  # the old one" in after
    assert (tmp_path / "turnout.yaml.bak").read_text(encoding="utf-8") == before
    assert "+    weight: 3" in report["file"]["diff"]
    assert (report["file"]["backup"], report["file"]["in_force"]) == ("turnout.yaml.bak", True)
    assert "planted" not in response.text
    assert filed.r.router.reload.live.settings.backends["desk"].weight == 3


async def test_a_backend_can_be_added_to_the_file_and_taken_out_again(filed, lab, tmp_path):
    file = tmp_path / "turnout.yaml"
    before = file.read_text(encoding="utf-8")
    made = await filed.ask("POST", "/api/backends?write_file=true", json=new(lab, api_key="${HOME}"))
    assert (made.status_code, made.json()["source"], made.json()["id"]) == (201, "file", "lab")
    assert parse(file.read_text(encoding="utf-8"), source="f", environ={}).backends["lab"].api_key
    assert (await filed.ask("POST", CHAT, "bob", json=asked("lab/llama3.2"))).status_code == 200
    assert lab.requests[-1].headers["authorization"] == "Bearer ${HOME}"
    removed = await filed.ask("DELETE", "/api/backends/lab?write_file=true")
    assert (removed.status_code, file.read_text(encoding="utf-8")) == (200, before)


async def test_a_backend_that_the_file_still_needs_stays(filed, tmp_path):
    before = (tmp_path / "turnout.yaml").read_bytes()
    response = await filed.ask("DELETE", "/api/backends/desk?write_file=true")
    assert (response.status_code, "models.coder.targets" in error_of(response)["message"]) == (409, True)
    assert (tmp_path / "turnout.yaml").read_bytes() == before


async def test_a_file_that_gets_a_backend_of_that_name_comes_first(filed, lab, tmp_path):
    backend_id = await added(filed, lab)
    file = tmp_path / "turnout.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("models:", "  lab: {type: openai, url: http://127.0.0.1:9}\nmodels:"), encoding="utf-8"
    )
    live = filed.r.router.reload.live
    await filed.r.router.watch.now()
    assert live.settings.backends["lab"].type == "openai"
    report = (await filed.ask("GET", f"/api/backends/{backend_id}")).json()
    assert "settings file" in report["problem"]
    file.write_text(text, encoding="utf-8")
    await filed.r.router.watch.now()
    assert live.settings.backends["lab"].type == "ollama"


async def test_without_a_settings_file_there_is_nothing_to_write_into(office, lab):
    for method, path, body in (
        ("POST", "/api/backends", new(lab)),
        ("PATCH", "/api/backends/desk", {"weight": 2}),
        ("DELETE", "/api/backends/desk", None),
    ):
        response = await office.ask(method, f"{path}?write_file=true", json=body)
        assert (response.status_code, error_of(response)["code"]) == (409, "read_only")


async def test_a_router_without_a_database_still_shows_and_tests_what_the_file_says(fake):
    key = {"headers": {"x-api-key": "key-of-an-admin"}}
    auth = {"api_keys": [{"key": "key-of-an-admin", "scopes": ["admin"]}]}
    async with running({"backends": backends({"desk": fake}), "auth": auth}) as r:
        assert [each["name"] for each in (await r.client.get("/api/backends", **key)).json()] == ["desk"]
        assert (await r.client.post("/api/backends/desk/test", **key)).json()["connected"] is True
        assert len((await r.client.get("/api/backends/desk/models", **key)).json()) == 2
        refused = await r.client.post("/api/backends", json=new(fake, type="openai"), **key)
    assert (refused.status_code, error_of(refused)["code"]) == (503, "storage_unavailable")


async def test_another_router_on_the_same_database_hears_of_it_within_a_second(office, lab, fake, tmp_path):
    config = {"backends": backends({"desk": fake}), "server": {"data_dir": str(tmp_path)}}
    async with running(config) as other:
        await other.router.storage.opened.wait()
        await added(office, lab)
        await eventually(lambda: "lab" in other.router.fleet.adapters)
        assert (await streamed(other.client, "lab/llama3.2", headers=office.keys["bob"])).text == "I am lab."


async def test_changes_at_the_same_time_are_all_made(office, lab):
    backend_id = await added(office, lab)
    wanted = [{"weight": 3}, {"max_parallel": 4}, {"local": False}, {"embedding_batch": 7}]
    await asyncio.gather(*(office.ask("PATCH", f"/api/backends/{backend_id}", json=each) for each in wanted))
    options = (await office.ask("GET", f"/api/backends/{backend_id}")).json()["options"]
    assert options == {"weight": 3, "max_parallel": 4, "local": False, "embedding_batch": 7}


async def test_changes_of_the_file_at_the_same_time_are_all_made(filed, tmp_path):
    wanted = [{"weight": 3}, {"max_parallel": 4}, {"local": False}, {"embedding_batch": 7}]
    path = "/api/backends/desk?write_file=true"
    for response in await asyncio.gather(*(filed.ask("PATCH", path, json=each) for each in wanted)):
        assert response.status_code == 200, response.text
    desk = parse((tmp_path / "turnout.yaml").read_text(encoding="utf-8"), source="f", environ={}).backends["desk"]
    assert (desk.weight, desk.max_parallel, desk.local, desk.embedding_batch) == (3, 4, False, 7)
    assert filed.r.router.reload.live.settings.backends["desk"].embedding_batch == 7


async def test_a_backend_that_repeats_its_key_when_it_refuses_it_gives_it_away_nowhere(office, lab, caplog):
    caplog.set_level("DEBUG", logger="router")
    said = {"error": {"message": f"Incorrect API key provided: {SECRET}", "code": "invalid_api_key"}}
    async with FakeBackend(flavour="openai", faults=Faults(status=401, body=said, health="fail")) as fussy:
        backend_id = await added(office, fussy, type="openai", name="fussy")
        report = await office.ask("POST", f"/api/backends/{backend_id}/test")
        shown = await office.ask("GET", "/api/backends/status")
        asked_there = await office.ask("POST", CHAT, "bob", json=asked("fussy/fake-chat"))
        metrics = await office.ask("GET", "/metrics")
        health = await office.ask("GET", "/health")
    assert report.json()["connected"] is False
    assert asked_there.status_code >= 400
    for told in (report, shown, asked_there, metrics, health):
        assert SECRET not in told.text
    assert SECRET not in caplog.text


ODD = [
    None,
    True,
    -1,
    0,
    2**70,
    1e308,
    "",
    " ",
    "\u0000",
    "\u202e",
    "a" * 5000,
    [],
    [None],
    ["\n"],
    {},
    {"a": None},
    [[[]]],
]


@pytest.mark.parametrize("field", sorted(NewBackend.model_fields))
async def test_odd_values_are_taken_or_refused_and_never_a_fault_of_the_router(filed, lab, field):
    for where in ("", "?write_file=true"):
        for position, odd in enumerate(ODD):
            body = {**new(lab, name=f"odd{position}{len(where)}"), field: odd}
            made = await filed.ask("POST", f"/api/backends{where}", json=body)
            assert made.status_code in {201, 400, 409}, (where, odd, made.text)
            changed = {"PATCH": {field: odd}, "DELETE": None} if made.status_code == 201 else {}
            for method, sent in changed.items():
                response = await filed.ask(method, f"/api/backends/{made.json()['id']}{where}", json=sent)
                assert response.status_code in {200, 400, 409}, (where, odd, response.text)
    assert (await filed.ask("GET", "/api/backends/status")).status_code == 200

"""Pulls over /api: followed, joined, left, cancelled and gone on with."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from router.pulls.notes import Notes
from router.pulls.state import Pull, State
from router.settings import Settings
from tests.api.conftest import Office, opened
from tests.api.pulling import LAYERS, PULL, QWEN, events, following, runs
from tests.fakes import FakeBackend, FakeModel, Registry
from tests.fakes.registry import DISK_FULL
from tests.running import running
from tests.surfaces.asking import backends, error_of, eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(anyio_backend):
    async with FakeBackend([FakeModel("llama3.2:latest")], flavour="ollama") as desk:
        desk.registry = Registry(LAYERS)
        yield desk


@asynccontextmanager
async def at_work(folder, timeouts=None, **fakes: FakeBackend):
    more = {"timeouts": timeouts} if timeouts else {}
    config = {"backends": backends(fakes, **more), "server": {"data_dir": str(folder), "keepalive_s": 1}}
    async with running(config) as r:
        yield await opened(r)


@pytest.fixture
async def office(desk, fake, tmp_path):
    async with at_work(tmp_path, desk=desk, cloud=fake) as office:
        yield office


async def begun(office: Office, registry: Registry, chunks: int, **body) -> str:
    """The id of a pull of which so much has come."""
    registry.patient = True
    answer = await office.ask("POST", PULL, json={**QWEN, **body, "stream": False})
    assert answer.status_code == 202, answer.text
    registry.let(chunks)
    (run, *_) = runs(office)
    await eventually(lambda: run.pull.completed >= chunks * registry.chunk)
    return answer.json()["id"]


async def test_a_pull_tells_its_progress_layer_by_layer_and_the_model_is_there_at_once(office, desk):
    desk.registry.patient = True
    async with following(office, json=QWEN) as follower:
        desk.registry.let(1)
        assert follower.response.headers["content-type"] == "text/event-stream"
        first = await follower.until("pull")
        assert (first["state"], first["backend"], first["model"]) == ("running", "desk", "qwen3")
        desk.registry.let(2)
        word = await follower.until("progress", completed=300)
        assert (word["total"], word["status"]) == (500, f"pulling {word['digest'][7:19]}")
        desk.registry.release()
        (*_, (name, last)) = await follower.rest()
    assert (name, last["state"], last["completed"], last["error"]) == ("done", "done", 800, None)
    assert [(layer["total"], layer["completed"]) for layer in last["layers"]] == [(500, 500), (300, 300)]
    listed = (await office.ask("GET", "/api/backends/desk/models")).json()
    assert "qwen3:latest" in {model["name"] for model in listed}


async def test_a_second_pull_joins_and_is_told_what_has_come_so_far(office, desk):
    await begun(office, desk.registry, 3)
    async with following(office, json={"model": "qwen3:latest"}) as second:
        assert (await second.until("pull"))["completed"] == 300
        desk.registry.release()
        assert (await second.rest())[-1][0] == "done"
    assert desk.registry.resumed == [0]
    assert len(runs(office)) == 1


async def test_a_client_who_leaves_frees_what_is_his_and_the_pull_goes_on(office, desk):
    desk.registry.patient = True
    async with following(office, json=QWEN) as follower:
        desk.registry.let(1)
        await follower.until("pull")
        (serving,) = [task for task in asyncio.all_tasks() if "run_asgi" in repr(task)]
    await eventually(serving.done)
    desk.registry.release()
    (run,) = runs(office)
    await eventually(lambda: run.pull.state is State.DONE)
    assert desk.disconnects == []


async def test_a_follower_who_reads_nothing_holds_nobody_up(office, desk):
    desk.registry = Registry({"qwen3": (3_000_000,)}, chunk=1000)
    async with following(office, json=QWEN):
        (run,) = runs(office)
        await eventually(lambda: run.pull.state is State.DONE)


async def test_one_that_is_not_followed_answers_at_once_and_can_be_followed_later(office, desk):
    pull_id = await begun(office, desk.registry, 2)
    path = f"/api/pulls/{pull_id}"
    seen = (await office.ask("GET", path)).json()
    assert (seen["state"], seen["completed"], seen["total"]) == ("running", 200, 500)
    assert (await office.ask("GET", "/api/pulls")).json()[0]["id"] == pull_id
    for more in ({"params": {"follow": "true"}}, {"headers": {"accept": "text/event-stream"}}):
        async with following(office, path, "GET", **more) as follower:
            assert (await follower.until("pull"))["id"] == pull_id
    desk.registry.release()
    async with following(office, path, "GET", params={"follow": "true"}) as follower:
        assert (await follower.rest())[-1][0] == "done"
    assert (await office.ask("GET", path)).json()["state"] == "done"


async def test_one_that_is_cancelled_ends_there_and_the_next_goes_on_where_it_was(office, desk):
    pull_id = await begun(office, desk.registry, 3)
    async with following(office, f"/api/pulls/{pull_id}", "GET", params={"follow": "true"}) as follower:
        await follower.until("pull")
        cancelled = await office.ask("DELETE", f"/api/pulls/{pull_id}")
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
        (*_, (name, last)) = await follower.rest()
    assert (name, last["error"]["code"], last["pull"]["state"]) == ("error", "conflict", "cancelled")
    await desk.until(lambda: len(desk.disconnects) == 1)
    assert (await office.ask("DELETE", f"/api/pulls/{pull_id}")).json()["state"] == "cancelled"
    desk.registry.release()
    again = await office.ask("POST", PULL, json=QWEN)
    assert events(again.text)[-1][0] == "done"
    assert desk.registry.resumed == [0, 300]


async def test_one_whose_connection_breaks_is_tried_again_and_goes_on(office, desk):
    desk.registry.patient = True
    async with following(office, json=QWEN) as follower:
        desk.registry.let(2)
        await follower.until("pull")
        (run,) = runs(office)
        await eventually(lambda: run.pull.completed == 200)
        desk.registry.drops = 1
        desk.registry.release()
        await follower.until("progress", status="the connection was lost: trying again")
        name, last = (await follower.rest())[-1]
    assert (name, last["tries"]) == ("done", 2)
    assert desk.registry.resumed == [0, 200]


async def test_one_goes_on_when_the_settings_of_its_backend_change(desk, tmp_path):
    async with at_work(tmp_path, desk=desk) as office:
        await begun(office, desk.registry, 2)
        (run,), reload = runs(office), office.r.router.reload
        changed = backends({"desk": desk}, timeouts={"first_token": 77})
        server = reload.live.settings.server.model_dump()
        assert reload.apply(Settings.model_validate({"backends": changed, "server": server}))
        await eventually(lambda: len(desk.registry.resumed) == 2)
        desk.registry.release()
        await eventually(lambda: run.pull.state is State.DONE)
    assert desk.registry.resumed == [0, 200]


async def test_one_that_falls_silent_is_tried_again(desk, tmp_path):
    async with at_work(tmp_path, {"load": 0.3}, desk=desk) as office:
        desk.registry.patient = True
        answer = await office.ask("POST", PULL, json={**QWEN, "stream": False})
        (run,) = runs(office)
        await eventually(lambda: run.pull.tries >= 2)
        desk.registry.release()
        await eventually(lambda: run.pull.state is State.DONE)
        assert (await office.ask("GET", f"/api/pulls/{answer.json()['id']}")).json()["tries"] >= 2


async def test_a_server_that_takes_the_question_and_never_answers_is_a_504(desk, tmp_path):
    async with at_work(tmp_path, {"first_token": 0.1, "load": 0.1}, desk=desk) as office:
        desk.registry.deaf = True
        answer = await office.ask("POST", PULL, json=QWEN)
        assert (answer.status_code, error_of(answer)["code"]) == (504, "backend_timeout")


async def test_one_that_a_restart_cut_off_waits_for_a_server_that_comes_later(desk, tmp_path):
    notes = Notes(tmp_path / "pulls")
    notes.hand_over(Pull(id="pull_0", backend="desk", model="qwen3", started_at=1.0))
    await desk.stop()
    async with at_work(tmp_path, desk=desk) as office:
        await eventually(lambda: [run.pull.tries > 0 for run in runs(office)] == [True])
        (run,) = runs(office)
        await desk.start()
        await eventually(lambda: run.pull.state is State.DONE)
        assert run.pull.id == "pull_0"


async def test_one_that_many_runs_did_not_end_is_given_up(desk, tmp_path):
    notes = Notes(tmp_path / "pulls")
    notes.hand_over(Pull(id="pull_0", backend="desk", model="qwen3", started_at=1.0, restarts=9))
    async with at_work(tmp_path, desk=desk) as office:
        await eventually(lambda: not [*(tmp_path / "pulls").iterdir()])
        assert runs(office) == []


async def test_one_that_never_gets_further_is_given_up_with_a_504(desk, tmp_path, monkeypatch):
    monkeypatch.setattr("router.pulls.pulls.MAX_FAILURES", 2)
    async with at_work(tmp_path, {"load": 0.2}, desk=desk) as office:
        pull_id = await begun(office, desk.registry, 1)
        (run,) = runs(office)
        await eventually(lambda: run.pull.state is State.FAILED)
        error = (await office.ask("GET", f"/api/pulls/{pull_id}")).json()["error"]
        assert (error["status"], error["code"]) == (504, "backend_timeout")


async def test_a_full_disk_is_told_in_ollamas_words_without_its_paths(office, desk):
    desk.registry.patient = True
    desk.registry.room = 250
    async with following(office, json=QWEN) as follower:
        desk.registry.let(1)
        await follower.until("pull")
        desk.registry.release()
        name, last = (await follower.rest())[-1]
    assert (name, last["error"]["code"], last["pull"]["state"]) == ("error", "backend_error", "failed")
    assert "no space left on device" in last["error"]["message"]
    assert "planted" not in str(last)
    assert last["pull"]["error"]["status"] == 502
    assert desk.registry.resumed == [0]
    assert DISK_FULL.startswith("write /usr")


async def test_a_server_that_tells_of_layers_without_end_has_failed_and_is_not_asked_again(office, desk):
    desk.registry = Registry({"qwen3": (1,) * 1001})
    await office.ask("POST", PULL, json={**QWEN, "stream": False})
    (run,) = runs(office)
    await eventually(lambda: not run.pull.is_running)
    assert (run.pull.state, run.pull.tries, run.failure.code) == (State.FAILED, 1, "backend_error")
    assert "more than 1,000 layers" in run.failure.message
    assert len(run.pull.layers) <= 1000


async def test_an_error_after_a_while_is_told_in_the_stream_and_not_tried_again(office, desk):
    desk.registry.patient = True
    async with following(office, json=QWEN) as follower:
        desk.registry.let(1)
        await follower.until("pull")
        desk.registry.error = "max retries exceeded: EOF"
        desk.registry.release()
        name, last = (await follower.rest())[-1]
    assert (name, last["error"]["message"]) == ("error", "desk: max retries exceeded: EOF")
    assert desk.registry.resumed == [0]


@pytest.mark.parametrize(
    ("backend", "body", "status", "words"),
    [
        ("desk", {"model": "nobody"}, 404, "no registry has the model 'nobody'"),
        ("desk", {}, 400, "model"),
        ("desk", {"model": ""}, 400, "model"),
        ("desk", {"model": "/x"}, 400, "invalid model name"),
        ("desk", {"model": "a\nb"}, 400, "model"),
        ("desk", {"model": "a", "planted": 1}, 400, "planted"),
        ("nobody", QWEN, 404, "no such backend"),
        ("cloud", QWEN, 501, "no Ollama server"),
    ],
)
async def test_what_fails_at_once_is_told_by_its_status(office, backend, body, status, words):
    answer = await office.ask("POST", f"/api/backends/{backend}/models/pull", json=body)
    assert answer.status_code == status
    assert words in error_of(answer)["message"]


async def test_a_server_that_does_not_run_is_a_503(office, desk):
    await desk.stop()
    for method, path, body in (
        ("POST", "models/pull", QWEN),
        ("GET", "models/llama3.2", None),
        ("POST", "models/llama3.2/load", {}),
        ("DELETE", "models/llama3.2", None),
        ("GET", "ps", None),
    ):
        answer = await office.ask(method, f"/api/backends/desk/{path}", json=body)
        assert answer.status_code == 503, path
        assert error_of(answer)["code"] == "unavailable"
    await desk.start()
    assert (await office.ask("POST", PULL, json=QWEN)).status_code == 200


async def test_a_pull_that_nobody_knows_is_a_404(office):
    for method in ("GET", "DELETE"):
        assert (await office.ask(method, "/api/pulls/pull_0")).status_code == 404


async def test_silence_is_filled_with_comments(office, desk):
    desk.registry.patient = True
    async with following(office, json=QWEN) as follower:
        text = ""
        async for piece in follower.response.aiter_text():
            text += piece
            if ": ping\n\n" in text:
                break


async def test_the_router_stops_without_waiting_and_the_next_run_goes_on(desk, tmp_path):
    async with at_work(tmp_path, desk=desk) as office:
        pull_id = await begun(office, desk.registry, 3)
        async with following(office, f"/api/pulls/{pull_id}", "GET", params={"follow": "true"}) as follower:
            await follower.until("pull")
            office.r.router.drain.begin()
            name, last = (await follower.rest())[-1]
        assert (name, last["error"]["code"], last["pull"]["state"]) == ("error", "shutting_down", "running")
    await desk.until(lambda: len(desk.disconnects) == 1)
    desk.registry.release()
    config = {"backends": backends({"desk": desk}), "server": {"data_dir": str(tmp_path)}}
    async with running(config) as r:
        await eventually(lambda: bool([*r.router.pulls]))
        (run,) = r.router.pulls
        await eventually(lambda: run.pull.state is State.DONE)
        assert (run.pull.id, run.pull.restarts) == (pull_id, 1)
        await eventually(lambda: not [*(tmp_path / "pulls").iterdir()])
    assert desk.registry.resumed == [0, 300]

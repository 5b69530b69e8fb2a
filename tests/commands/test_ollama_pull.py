"""`turnout ollama pull`, `pulls` and `update`: to the end, interrupted, joined, cancelled, and what goes wrong."""

import asyncio
import json

import pytest

from router.pulls.state import State
from tests.api.pulling import PULL, runs
from tests.commands.processes import in_pipe, on_terminal
from tests.surfaces.asking import eventually

pytestmark = pytest.mark.anyio

QWEN = ("ollama", "pull", "qwen3:8b")


async def begun(house, desk, chunks: int = 3) -> str:
    """The id of a pull of which so much has come, and which waits."""
    desk.registry.patient = True
    answer = await house.ask("POST", PULL, json={"model": "qwen3:8b", "stream": False})
    desk.registry.let(chunks)
    await eventually(lambda: runs(house)[0].pull.completed >= 100 * chunks)
    return answer.json()["id"]


async def followed(house) -> None:
    """Waits until somebody follows the pull."""
    await eventually(lambda: bool(runs(house)) and bool(runs(house)[0].changed._waiters))


async def test_a_pull_is_told_line_by_line_where_there_is_no_terminal(house, run, desk):
    done = await run(house, *QWEN)
    lines = done.stdout.splitlines()
    assert (done.exit_code, done.stderr, "\x1b" in done.stdout) == (0, "", False)
    assert lines[-1] == "qwen3:8b is on desk now"
    assert all(line.startswith("qwen3:8b: ") for line in lines[:-1])
    assert any("of 5.0 kB" in line for line in lines)
    assert len(lines) < 12
    assert "qwen3:8b" in {model.name for model in desk.models}


async def test_programs_get_the_record_of_the_pull(house, run):
    done = await run(house, *QWEN, "--json")
    record = json.loads(done.stdout)
    assert (done.exit_code, record["state"], record["completed"], record["model"]) == (0, "done", 5300, "qwen3:8b")


@pytest.mark.parametrize("columns", [80, 40])
async def test_a_terminal_shows_a_bar_for_every_layer_that_fits(house, desk, columns):
    desk.registry.pause_s = 0.02
    shown = await on_terminal(house, *QWEN, columns=columns)
    assert (shown.status, shown.lines[-1]) == (0, "qwen3:8b is on desk now")
    *_, first, second = shown.lines[:-1]
    assert ("100%" in first, "100%" in second, "━" in first) == (True, True, True)
    assert max(map(len, shown.lines)) <= columns
    assert any("B/s" in line for line in shown.lines) == (columns == 80)
    assert "\x1b[?25h" in shown.raw


async def test_ctrl_c_leaves_the_pull_running_and_says_how_to_follow_it(house, desk):
    desk.registry.pause_s = 0.02
    shown = await on_terminal(house, *QWEN, until="%")
    assert shown.status == 130
    assert shown.lines[-3:] == [
        "desk goes on pulling qwen3:8b",
        "  follow it: turnout ollama pull qwen3:8b",
        "  cancel it: turnout ollama pull qwen3:8b --cancel",
    ]
    assert "\x1b[?25h" in shown.raw
    assert "Traceback" not in shown.raw
    (pull,) = runs(house)
    assert pull.pull.state in {State.RUNNING, State.DONE}
    await eventually(lambda: pull.pull.state is State.DONE)
    assert desk.disconnects == []


async def test_ctrl_c_in_a_pipe_names_the_backend_if_that_was_named(two, desk):
    desk.registry.patient = True
    desk.registry.let(4)
    shown = await in_pipe(two, *QWEN, "--backend", "desk", until="% of")
    assert (shown.status, "Traceback" in shown.raw) == (130, False)
    assert "follow it: turnout ollama pull qwen3:8b --backend desk" in shown.raw
    (pull,) = runs(two)
    assert pull.pull.state is State.RUNNING
    desk.registry.release()
    await eventually(lambda: pull.pull.state is State.DONE)


async def test_a_pull_that_runs_is_joined_where_it_is(house, run, desk):
    await begun(house, desk, 30)
    joined = asyncio.create_task(run(house, "ollama", "pull", "QWEN3:8b"))
    await followed(house)
    desk.registry.release()
    done = await joined
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "QWEN3:8b is on desk now"), done.output
    assert len(runs(house)) == 1
    assert desk.registry.resumed == [0]


async def test_pulls_that_run_are_listed_and_cancelled(house, run, desk):
    pull_id = await begun(house, desk)
    listed = (await run(house, "ollama", "pulls")).stdout
    assert all(word in listed for word in (pull_id, "qwen3:8b", "running", "6%"))
    assert json.loads((await run(house, "ollama", "pulls", "--json")).stdout)[0]["completed"] == 300
    done = await run(house, "ollama", "pulls", "--cancel", pull_id)
    assert (done.exit_code, "is cancelled" in done.stdout) == (0, True), done.output
    assert (await run(house, "ollama", "pulls")).stdout == "nothing is being pulled\n"
    assert "cancelled" in (await run(house, "ollama", "pulls", "--all")).stdout


async def test_a_pull_is_cancelled_by_the_name_of_its_model(house, run, desk):
    await begun(house, desk)
    done = await run(house, *QWEN, "--cancel")
    assert (done.exit_code, done.stdout) == (
        0, "the pull of qwen3:8b to desk is cancelled; another one goes on where it was\n"
    )  # fmt: skip
    done = await run(house, *QWEN, "--cancel")
    assert (done.exit_code, "no pull of qwen3:8b runs; being pulled: nothing" in done.stderr) == (1, True)


async def test_who_follows_is_told_that_somebody_cancelled(house, run, desk):
    pull_id = await begun(house, desk)
    following = asyncio.create_task(run(house, *QWEN))
    await followed(house)
    await house.ask("DELETE", f"/api/pulls/{pull_id}")
    done = await following
    assert (done.exit_code, done.stderr) == (1, "turnout: somebody cancelled the pull of qwen3:8b to desk\n")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("max retries exceeded: EOF", "qwen3:8b was not pulled to desk: desk: max retries exceeded: EOF"),
        ("pull model manifest: 412: requires a newer version of Ollama", "too old for this model: update it there"),
        ("dial tcp: lookup registry.ollama.ai: no such host", "cannot reach the registry"),
    ],
)
async def test_an_error_in_the_middle_is_told_with_what_can_be_done(house, run, desk, error, told):
    desk.registry.error = error
    done = await run(house, *QWEN)
    assert (done.exit_code, told in done.stderr) == (1, True), done.output
    assert "is on desk now" not in done.stdout


async def test_a_full_disk_is_told_with_the_way_to_make_room(house, run, desk):
    desk.registry.room = 2000
    done = await run(house, *QWEN)
    assert done.exit_code == 1
    assert "no space left on device" in done.stderr
    assert "turnout ollama rm makes room" in done.stderr


async def test_a_model_that_no_registry_has_is_told_with_a_place_to_look(house, run):
    done = await run(house, "ollama", "pull", "nobody")
    assert (done.exit_code, done.stdout) in {(1, ""), (1, "nobody: pulling manifest\n")}
    assert "no registry has the model 'nobody'" in done.stderr
    assert "https://ollama.com/library" in done.stderr


async def test_a_server_that_does_not_run_is_told(house, run, desk):
    await desk.stop()
    done = await run(house, *QWEN)
    assert (done.exit_code, "is it running?" in done.stderr) == (1, True), done.output


async def test_a_router_that_stops_is_told_and_that_the_pull_goes_on(house, desk):
    desk.registry.patient = True
    desk.registry.let(4)
    following = asyncio.create_task(in_pipe(house, *QWEN))
    await followed(house)
    house.r.router.drain.begin()
    shown = await following
    assert shown.status == 3
    assert "the pull goes on when it runs again" in shown.raw


async def test_an_update_pulls_what_is_there_and_says_what_changed(house, run, desk):
    before = desk.models[0].digest
    desk.registry.editions["llama3.2:latest"] = "newer"
    done = await run(house, "ollama", "update")
    after = desk.models[0].digest
    assert before != after
    assert f"llama3.2:latest is updated: {before[:12]} -> {after[:12]}" in done.stdout
    assert "nomic-embed-text:latest was not pulled to desk" in done.stderr
    assert done.stdout.splitlines()[-1] == "1 updated, 1 failed"
    assert done.exit_code == 1


async def test_an_update_of_what_is_newest_changes_nothing(house, run):
    done = await run(house, "ollama", "update", "llama3.2")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "llama3.2 is up to date")


async def test_programs_get_every_digest_of_an_update(house, run, desk):
    before = desk.models[0].digest
    desk.registry.editions["llama3.2:latest"] = "newer"
    done = await run(house, "ollama", "update", "llama3.2", "nomic-embed-text", "--json")
    first, second = json.loads(done.stdout)
    assert (first["before"], first["after"], first["updated"]) == (before, desk.models[0].digest, True)
    assert ("no registry" in second["error"], second["updated"], done.exit_code) == (True, False, 1)


async def test_an_update_of_a_model_that_is_not_there_is_refused(house, run):
    done = await run(house, "ollama", "update", "gemma3")
    assert (done.exit_code, "turnout ollama pull" in done.stderr) == (1, True)

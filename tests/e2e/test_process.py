"""The `turnout` command as a person and a supervisor meet it."""

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.e2e.serving import environment, free_port, served
from tests.fakes import FakeProcess

pytestmark = pytest.mark.anyio

CHAT = {"messages": [{"role": "user", "content": "hi"}]}


def turnout(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "router", *arguments],
        capture_output=True, text=True, cwd=cwd, env=environment(HOME=str(cwd), **env), timeout=30, check=False,
    )  # fmt: skip


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "turnout.yaml").write_text("server: {port: 7070}\n")
        done = turnout("serve", "--port", str(port), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"turnout: cannot listen on 127.0.0.1:{port}: address already in use")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_broken_file_never_starts_with_defaults(tmp_path: Path) -> None:
    (tmp_path / "turnout.yaml").write_text("backends:\n  desk: {type: ollama, ulr: http://127.0.0.1:1}\n")
    done = turnout("serve", cwd=tmp_path)
    assert done.returncode == 1
    assert "turnout.yaml:2" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_variable_is_one_clear_line(tmp_path: Path) -> None:
    text = 'backends:\n  desk:\n    type: ollama\n    url: http://127.0.0.1:1\n    api_key: "${NOT_THERE}"\n'
    (tmp_path / "turnout.yaml").write_text(text)
    done = turnout("check", cwd=tmp_path)
    assert done.returncode == 1
    assert "turnout.yaml:5" in done.stderr
    assert "NOT_THERE" in done.stderr


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    done = turnout("serve", "--config", "nowhere.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip() == "nowhere.yaml: no such file"


def test_check_says_that_a_good_file_is_good(tmp_path: Path) -> None:
    (tmp_path / "turnout.yaml").write_text("backends:\n  desk: {type: ollama, url: http://127.0.0.1:1}\n")
    done = turnout("check", cwd=tmp_path)
    assert done.returncode == 0
    assert "no errors" in done.stdout


def test_listening_to_the_network_without_a_key_is_refused(tmp_path: Path) -> None:
    done = turnout("demo", "--host", "0.0.0.0", cwd=tmp_path)
    assert done.returncode == 1
    assert "no key is asked" in done.stderr


def test_the_schema_is_json(tmp_path: Path) -> None:
    assert json.loads(turnout("schema", cwd=tmp_path).stdout)["title"]


async def test_route_says_where_a_request_would_go(tmp_path: Path) -> None:
    async with FakeProcess(kind="ollama", models=["llama3.2:latest"]) as fake:
        aliases = "models: {fast: {targets: [desk/llama3.2], tags: [code]}}\n"
        (tmp_path / "turnout.yaml").write_text(f"backends: {{desk: {{type: ollama, url: '{fake.url}'}}}}\n{aliases}")
        named = turnout("route", "fast", cwd=tmp_path)
        tagged = turnout("route", "whatever", "--task", "code", cwd=tmp_path)
        unknown = turnout("route", "fsat", cwd=tmp_path)
        listed = turnout("models", cwd=tmp_path)
    assert "alias fast" in named.stdout
    assert "ready" in named.stdout
    assert "task code by tag" in tagged.stdout
    assert unknown.returncode == 1
    assert "Did you mean fast?" in unknown.stderr
    assert "desk/llama3.2:latest" in listed.stdout


async def test_sigterm_lets_a_running_stream_finish(tmp_path: Path) -> None:
    async with FakeProcess(kind="ollama", models=["m"], reply="one two three four five six seven eight") as fake:
        await _fault(fake.url, chunk_delay_s=0.1)
        with served(tmp_path, {"backends": {"desk": {"type": "ollama", "url": fake.url}}}) as running:
            status: list[int] = []
            text = ""
            async with httpx.AsyncClient(timeout=20) as client:
                body = {**CHAT, "model": "m", "stream": True}
                async with client.stream("POST", f"{running.url}/v1/chat/completions", json=body) as answer:
                    async for line in answer.aiter_lines():
                        text += f"{line}\n"
                        if not status:
                            stopping = threading.Thread(target=lambda: status.append(running.terminate()))
                            stopping.start()
                            status.append(-1)
            stopping.join(20)
    assert "eight" in text
    assert "[DONE]" in text
    assert status[-1] == 0


async def test_a_stream_over_the_drain_limit_ends_with_an_error_event(tmp_path: Path) -> None:
    async with FakeProcess(kind="ollama", models=["m"], reply="word " * 200) as fake:
        await _fault(fake.url, chunk_delay_s=0.1)
        config = {"server": {"drain_s": 0.3}, "backends": {"desk": {"type": "ollama", "url": fake.url}}}
        with served(tmp_path, config) as running:
            text, first = "", True
            async with httpx.AsyncClient(timeout=20) as client:
                body = {**CHAT, "model": "m", "stream": True}
                async with client.stream("POST", f"{running.url}/v1/chat/completions", json=body) as answer:
                    async for line in answer.aiter_lines():
                        text += f"{line}\n"
                        if first:
                            running.process.terminate()
                            first = False
            assert running.process.wait(10) == 0
    assert "shutting_down" in text
    assert "[DONE]" not in text


def test_nothing_found_still_starts_and_says_what_to_do(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", _WITHOUT_DEMO, "serve", "--port", str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path,
        env=environment(HOME=str(tmp_path), OLLAMA_HOST=f"127.0.0.1:{free_port()}"),
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(2)]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
                ready = client.get("/health/ready")
                answer = client.post("/v1/chat/completions", json={**CHAT, "model": "auto"})
        finally:
            process.terminate()
            process.communicate(timeout=15)
    assert ready.status_code == 503
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "no_backend"
    assert any("No model server was found" in line for line in said)


_WITHOUT_DEMO = """
import router.discovery, router.embedded, sys
router.discovery.USUAL_PLACES = {}
router.embedded.available = lambda: False
from router.cli import main
main(sys.argv[1:], prog_name="turnout")
"""


async def _fault(url: str, **faults: float) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        (await client.put("/__fake/faults", json=faults)).raise_for_status()


async def test_ollamas_clients_are_answered_on_a_port_of_their_own(tmp_path: Path) -> None:
    port = free_port()
    async with FakeProcess(kind="ollama", models=["m"]) as fake:
        config = {"server": {"ollama_port": port}, "backends": {"desk": {"type": "ollama", "url": fake.url}}}
        with served(tmp_path, config) as router:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                assert (await client.get("/")).text == "Ollama is running"
                mirrored = (await client.get("/api/tags")).json()
                assert mirrored == (await client.get(f"{router.url}/api/tags")).json()
            assert [model["name"] for model in mirrored["models"]] == ["m:latest"]
            assert router.terminate() == 0


def test_a_second_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "turnout.yaml").write_text(f"server: {{ollama_port: {port}}}\n")
        done = turnout("serve", "--port", "0", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"turnout: cannot listen on 127.0.0.1:{port}: address already in use")
    assert "server.ollama_port" in done.stderr

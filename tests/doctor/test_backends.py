"""What the doctor says of backends that are not there, or not what they are said to be."""

import sys
from contextlib import AsyncExitStack
from email.utils import formatdate
from time import time
from urllib.parse import urlsplit

import pytest

from router.doctor.report import lines
from tests.doctor.examining import backend, found, only, told
from tests.fakes import FakeBackend, FakeModel, Faults, Scripted
from tests.processes.test_gguf import QWEN
from tests.surfaces.asking import saying

pytestmark = pytest.mark.anyio

KINDS = ("ollama", "openai", "llama_cpp")
HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<!doctype html><title>x</title>"


@pytest.fixture
async def fakes(anyio_backend):
    async with AsyncExitStack() as stack:
        yield {kind: await stack.enter_async_context(FakeBackend(flavour=kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["", "/v1", "/"])
async def test_a_good_backend_is_nothing_to_complain_about(fakes, kind, path):
    assert await told(backend(kind, fakes[kind].url + path)) == []


async def test_a_look_never_generates(fakes):
    for kind in KINDS:
        await found(backend(kind, fakes[kind].url))
        assert fakes[kind].requests == []


async def test_nothing_listening_is_said_with_the_command_that_starts_it(fakes):
    await fakes["ollama"].stop()
    complaint = await only(backend("ollama", fakes["ollama"].url))
    assert (complaint.code, complaint.severity) == ("refused", "error")
    assert complaint.what == f"nothing listens at 127.0.0.1:{fakes['ollama'].port}."
    assert "`ollama serve`" in complaint.mend


async def test_the_port_where_such_a_server_does_listen_is_named(fakes):
    await fakes["openai"].stop()
    ports = [fake.port for fake in fakes.values()]
    complaint = await only(backend("ollama", fakes["openai"].url, api_key="planted-key-1"), ports=ports)
    assert complaint.mend == f"Set backends.desk.url to {fakes['ollama'].url}, where an Ollama server answers."
    assert all("Authorization" not in probe.headers for probe in fakes["ollama"].probes)


async def test_an_unknown_host_name_is_said():
    complaint = await only(backend("ollama", "http://no-such-host.invalid:11434"))
    assert (complaint.code, complaint.place) == ("unknown_host", "backends.desk.url")
    assert "no-such-host.invalid" in complaint.what


async def test_silence_is_said(anyio_backend):
    async with FakeBackend() as fake:
        fake.faults = Faults(health="hang")
        complaint = await only({**backend("ollama", fake.url), "health": {"timeout_s": 0.1}})
    assert complaint.code == "silent"


async def test_what_speaks_no_http_is_said(anyio_backend):
    async with saying(b"SSH-2.0-OpenSSH_9.6\r\n") as url:
        complaint = await only(backend("openai", url))
    assert complaint.code == "not_http"


async def test_https_to_a_server_without_it_is_said(fakes):
    complaint = await only(backend("openai", fakes["openai"].url.replace("http:", "https:")))
    assert complaint.code == "not_http"
    assert "https" in complaint.mend


@pytest.mark.parametrize(
    ("kind", "is_one"),
    [("ollama", "openai"), ("ollama", "llama_cpp"), ("llama_cpp", "openai"), ("llama_cpp", "ollama")],
)
async def test_a_server_of_another_type_is_recognised(fakes, kind, is_one):
    complaint = await only(backend(kind, fakes[is_one].url))
    assert (complaint.code, complaint.severity) == ("wrong_type", "error")
    assert complaint.mend == f"Set backends.desk.type to {is_one}."


@pytest.mark.parametrize("is_one", ["ollama", "llama_cpp"])
async def test_a_server_that_has_a_better_type_is_a_warning(fakes, is_one):
    complaint = await only(backend("openai", fakes[is_one].url))
    assert (complaint.code, complaint.severity) == ("wrong_type", "warning")
    assert complaint.mend == f"Set backends.desk.type to {is_one}."


@pytest.mark.parametrize("kind", KINDS)
async def test_a_path_too_many_is_recognised(fakes, kind):
    complaint = await only(backend(kind, f"{fakes[kind].url}/models/here"))
    assert complaint.code == "wrong_path"
    assert complaint.mend == f"Set backends.desk.url to {fakes[kind].url}."


async def test_a_web_page_is_recognised(anyio_backend):
    async with saying(HTML) as url:
        complaint = await only(backend("openai", url))
    assert complaint.code == "web_page"
    assert f"{urlsplit(url).netloc} answers with a web page" in complaint.what


async def test_a_server_without_any_such_path_is_said(anyio_backend):
    async with saying(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as url:
        complaint = await only(backend("ollama", url))
    assert (complaint.code, "404" in complaint.what) == ("wrong_path", True)


async def test_a_failing_server_is_said(fakes):
    fakes["ollama"].faults = Faults(health="fail")
    complaint = await only(backend("ollama", fakes["ollama"].url))
    assert (complaint.code, "500" in complaint.what) == ("failing", True)


async def test_a_server_that_still_loads_needs_only_time(fakes):
    fakes["llama_cpp"].faults = Faults(health="loading")
    complaint = await only(backend("llama_cpp", fakes["llama_cpp"].url))
    assert (complaint.code, complaint.severity) == ("loading", "warning")


async def test_json_of_another_kind_is_said(anyio_backend):
    answer = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{"hello": 1}'
    async with saying(answer) as url:
        complaint = await only(backend("openai", url))
    assert complaint.code == "unreadable"


@pytest.mark.parametrize(("key", "told_so"), [(None, "none is set"), ("planted-key-1", "refuses the key")])
async def test_a_refused_key_is_said_and_never_shown(fakes, key, told_so):
    refusal = Scripted(status=401, body=b'{"error": {"message": "bad key planted-key-1"}}')
    fakes["openai"].script("/v1/models", refusal)
    complaint = await only(backend("openai", fakes["openai"].url, **({"api_key": key} if key else {})))
    assert (complaint.code, complaint.place) == ("key_refused", "backends.desk.api_key")
    assert told_so in complaint.what
    assert "planted" not in repr(complaint)


@pytest.mark.parametrize(("version", "is_old"), [("0.12.9", True), ("0.9.6-rc1", True), ("0.12.10", False),
                                                 ("0.0.0", False), ("1.0.0", False), ("odd", False)])  # fmt: skip
async def test_an_ollama_that_loses_call_ids_is_too_old(fakes, version, is_old):
    fakes["ollama"].script("/api/version", Scripted(body=f'{{"version": "{version}"}}'.encode()))
    wrong = await told(backend("ollama", fakes["ollama"].url))
    assert [complaint.code for complaint in wrong] == ["too_old"] * is_old


@pytest.mark.parametrize("kind", ["ollama", "openai"])
async def test_a_server_without_models_is_said(anyio_backend, kind):
    async with FakeBackend([], flavour=kind) as fake:
        complaint = await only(backend(kind, fake.url))
    assert complaint.code == "no_models"


@pytest.mark.parametrize(("skew_s", "is_wrong"), [(-3600, True), (90, True), (30, False)])
async def test_a_clock_that_is_off_is_said(anyio_backend, skew_s, is_wrong):
    date = formatdate(time() + skew_s, usegmt=True)
    body = b'{"data": [{"id": "m"}]}'
    head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with saying(head.encode() + body) as url:
        wrong = await told(backend("openai", url))
    assert [complaint.code for complaint in wrong] == ["clock"] * is_wrong
    if is_wrong:
        assert ("ahead of" if skew_s > 0 else "behind") in wrong[0].what


async def test_a_limit_shorter_than_a_cold_load_is_said(fakes):
    limits = {"first_token": 20, "idle": 59, "total": 60}
    wrong = await told(backend("ollama", fakes["ollama"].url, timeouts=limits))
    assert [(complaint.code, complaint.place) for complaint in wrong] == [
        ("impatient", "backends.desk.timeouts.first_token"),
        ("impatient", "backends.desk.timeouts.idle"),
    ]


async def test_a_backend_that_is_switched_off_is_left_alone():
    assert [c.code for c in await told(backend("ollama", "http://127.0.0.1:1", enabled=False))] == ["no_backend"]


async def test_places_that_are_only_looked_at_are_no_fault_while_one_answers(fakes):
    config = {
        "backends": {"a": {"type": "ollama", "url": fakes["ollama"].url}, "b": {"type": "openai", "url": "http://127.0.0.1:1"}}
    }  # fmt: skip
    assert await told(config, optional=frozenset({"a", "b"})) == []
    await fakes["ollama"].stop()
    complaint = await only(config, optional=frozenset({"a", "b"}))
    assert (complaint.code, complaint.what) == ("no_backend", "no model server was found on this machine.")


async def test_a_listing_that_is_not_needed_is_not_missed(fakes):
    fakes["openai"].script("/v1/models", Scripted(status=404, body=b"{}"))
    assert await told(backend("openai", fakes["openai"].url, models=["m"])) == []


async def test_several_backends_are_told_in_the_order_of_the_file(fakes):
    async with FakeBackend([FakeModel("m")], flavour="openai") as fake:
        config = {"backends": {
            "second": {"type": "ollama", "url": fake.url}, "first": {"type": "llama_cpp", "url": fakes["openai"].url},
        }}  # fmt: skip
        wrong = await told(config)
    assert [complaint.place for complaint in wrong] == ["backends.second.type", "backends.first.type"]


async def test_a_process_that_the_router_would_run_is_judged_by_its_files(tmp_path):
    (tmp_path / "good.gguf").write_bytes(QWEN)
    launch = {"model": str(tmp_path / "good.gguf"), "command": sys.executable}
    good = {"backends": {"desk": {"type": "llama_cpp", "launch": launch}}}
    assert await told(good) == []
    (line, *_) = lines(await found(good), [])
    assert "llama_cpp run by the router, 1 models" in str(line)
    launch["model"] = str(tmp_path / "none.gguf")
    complaint = await only(good)
    assert (complaint.code, complaint.place) == ("unusable", "backends.desk.launch.model")

"""The fake backend does what its README promises: life cycle, faults, scripts, what it saw."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.fakes import FakeBackend, FakeModel, Faults, Scripted

pytestmark = pytest.mark.anyio

CHAT = {"model": "llama3.2", "messages": [{"role": "user", "content": "hi there"}]}
STREAM = {**CHAT, "stream": True}


@pytest.fixture
async def fake(anyio_backend: str) -> AsyncIterator[FakeBackend]:
    async with FakeBackend([FakeModel("llama3.2:latest", capabilities=("completion", "tools"))]) as fake:
        yield fake


@pytest.fixture
async def client(anyio_backend: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield session


async def post(
    client: aiohttp.ClientSession, fake: FakeBackend, *, path: str, body: object
) -> tuple[aiohttp.ClientResponse, bytes]:
    async with client.post(fake.url + path, json=body) as response:
        return response, await response.read()


async def frames_until_silence(response: aiohttp.ClientResponse) -> list[bytes]:
    lines = []
    while True:
        try:
            async with asyncio.timeout(0.05):
                lines.append(await response.content.readline())
        except TimeoutError:
            return lines


async def test_streams_one_object_per_line_and_ends_with_done(fake, client):
    response, body = await post(client, fake, path="/api/chat", body=CHAT)
    lines = [json.loads(line) for line in body.split(b"\n")[:-1]]
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert [line["done"] for line in lines] == [False] * 4 + [True]
    assert "".join(line["message"]["content"] for line in lines) == fake.reply
    assert (lines[-1]["prompt_eval_count"], lines[-1]["eval_count"]) == (2, 4)


async def test_requests_are_recorded_and_probes_apart(fake, client):
    await post(client, fake, path="/api/chat", body=CHAT)
    await client.get(fake.url + "/api/tags")
    assert [(r.method, r.path, r.json) for r in fake.requests] == [("POST", "/api/chat", CHAT)]
    assert [r.path for r in fake.probes] == ["/api/tags"]
    assert fake.requests[0].headers["content-type"] == "application/json"


async def test_refuses_connections_while_stopped_and_comes_back_on_its_port(fake, client):
    url = fake.url
    await fake.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.get(url)
    await fake.start()
    assert fake.url == url
    async with client.get(url) as response:
        assert await response.text() == "Ollama is running"


async def test_stopping_cuts_streams_and_is_not_the_clients_doing(fake, client):
    fake.faults = Faults(stall_after=1)
    async with client.post(fake.url + "/api/chat", json=CHAT) as response:
        await response.content.readline()
        await fake.stop()
        with pytest.raises(aiohttp.ClientError):
            await response.content.readline()
    assert (fake.in_flight, fake.disconnects) == (0, [])


async def test_client_leaving_a_stalled_stream_is_seen_at_once(fake, client):
    fake.faults = Faults(stall_after=2)
    response = await client.post(fake.url + "/api/chat", json=CHAT)
    assert len(await frames_until_silence(response)) == 2
    assert fake.in_flight == 1
    left = asyncio.get_running_loop().time()
    response.close()
    await fake.until(lambda: len(fake.disconnects) == 1)
    assert fake.disconnects[0] - left < 0.05
    assert fake.in_flight == 0


async def test_client_leaving_before_headers_is_seen(fake, client):
    fake.faults = Faults(hang_before_headers=True)
    request = asyncio.create_task(client.post(fake.url + "/api/chat", json=CHAT))
    await fake.until(lambda: fake.in_flight == 1)
    request.cancel()
    await fake.until(lambda: fake.in_flight == 0)
    assert len(fake.disconnects) == 1


async def test_client_leaving_between_slow_frames_is_seen(fake, client):
    fake.faults = Faults(chunk_delay_s=0.02)
    response = await client.post(fake.url + "/api/chat", json=CHAT)
    await response.content.readline()
    response.close()
    await fake.until(lambda: len(fake.disconnects) == 1)


async def test_a_whole_answer_is_no_disconnect(fake, client):
    for body in (CHAT, {**CHAT, "stream": False}):
        await post(client, fake, path="/api/chat", body=body)
    assert (fake.in_flight, fake.peak_in_flight, fake.disconnects) == (0, 1, [])


async def test_status_comes_with_the_given_body_and_headers(fake, client):
    fake.faults = Faults(status=429, headers={"Retry-After": "7"}, body={"error": "slow down"})
    response, body = await post(client, fake, path="/v1/chat/completions", body=STREAM)
    assert (response.status, response.headers["Retry-After"]) == (429, "7")
    assert json.loads(body) == {"error": "slow down"}


async def test_status_without_body_is_told_in_the_format_of_the_path(fake, client):
    fake.faults = Faults(status=503)
    _, native = await post(client, fake, path="/api/chat", body=CHAT)
    _, openai = await post(client, fake, path="/v1/chat/completions", body=CHAT)
    busy = "server busy, please try again.  maximum pending requests exceeded"
    assert json.loads(native) == {"error": busy}
    assert json.loads(openai)["error"] == {"message": busy, "type": "api_error", "param": None, "code": None}


@pytest.mark.parametrize("frames", [0, 2])
async def test_drop_resets_the_connection(fake, client, frames):
    fake.faults = Faults(drop_after=frames)
    seen = []
    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        async with client.post(fake.url + "/api/chat", json=CHAT) as response:
            while line := await response.content.readline():
                seen.append(line)
    assert len(seen) == frames
    assert fake.disconnects == []


async def test_end_after_is_a_clean_end_without_the_marker(fake, client):
    fake.faults = Faults(end_after=2)
    _, body = await post(client, fake, path="/api/chat", body=CHAT)
    assert [json.loads(line)["done"] for line in body.splitlines()] == [False, False]


async def test_missing_end_keeps_all_content(fake, client):
    fake.faults = Faults(missing_end=True)
    _, native = await post(client, fake, path="/api/chat", body=CHAT)
    _, openai = await post(client, fake, path="/v1/chat/completions", body=STREAM)
    assert len(native.splitlines()) == 4
    assert b"fake." in openai
    assert b'"finish_reason":"' not in openai
    assert b"[DONE]" not in openai


async def test_error_at_ends_the_stream_in_the_format_of_the_path(fake, client):
    fake.faults = Faults(error_at=1)
    _, native = await post(client, fake, path="/api/chat", body=CHAT)
    _, openai = await post(client, fake, path="/v1/chat/completions", body=STREAM)
    assert list(json.loads(native.splitlines()[1])) == ["error"]
    events = openai.split(b"\n\n")[:-1]
    assert len(events) == 2
    assert "message" in json.loads(events[1].removeprefix(b"data: "))["error"]


async def test_bad_json_breaks_one_frame_only(fake, client):
    fake.faults = Faults(bad_json_at=1)
    _, body = await post(client, fake, path="/api/chat", body=CHAT)
    first, second, third, *_ = body.splitlines()
    assert json.loads(first)
    assert json.loads(third)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        json.loads(second)


async def test_ignore_stream_answers_whole(fake, client):
    fake.faults = Faults(ignore_stream=True)
    response, body = await post(client, fake, path="/v1/chat/completions", body=STREAM)
    assert response.headers["Content-Type"].startswith("application/json")
    assert json.loads(body)["choices"][0]["message"]["content"] == fake.reply


async def test_a_whole_answer_can_be_cut_in_the_middle(fake, client):
    fake.faults = Faults(end_after=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await post(client, fake, path="/api/chat", body={**CHAT, "stream": False})


async def test_faults_hit_as_often_as_told(fake, client):
    fake.faults = Faults(status=500, times=2)
    statuses = [(await post(client, fake, path="/api/chat", body=CHAT))[0].status for _ in range(4)]
    assert statuses == [500, 500, 200, 200]


async def test_flaky_hits_the_same_requests_each_time(fake, client):
    runs = []
    for _ in range(2):
        fake.faults = Faults(status=500, flaky=0.5)
        runs.append([(await post(client, fake, path="/api/chat", body=CHAT))[0].status for _ in range(20)])
    assert runs[0] == runs[1]
    assert {200, 500} == set(runs[0])


async def test_first_byte_delay_holds_the_headers_back(fake, client):
    fake.faults = Faults(first_byte_delay_s=0.03)
    loop = asyncio.get_running_loop()
    asked = loop.time()
    await post(client, fake, path="/api/chat", body=CHAT)
    assert loop.time() - asked >= 0.03


async def test_health_fails_for_probes_and_work_goes_on(fake, client):
    fake.faults = Faults(health="fail")
    assert (await client.get(fake.url + "/api/version")).status == 500
    assert (await post(client, fake, path="/api/chat", body=CHAT))[0].status == 200


async def test_health_hangs_for_probes(fake, client):
    fake.faults = Faults(health="hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await client.get(fake.url + "/api/version")


async def test_loading_is_told_on_every_route(client):
    async with FakeBackend(flavour="llama_cpp", faults=Faults(health="loading")) as fake:
        loading = {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}
        async with client.get(fake.url + "/health") as response:
            assert (response.status, await response.json()) == (503, loading)
        response, body = await post(client, fake, path="/v1/chat/completions", body=STREAM)
        assert (response.status, json.loads(body)) == (503, loading)


async def test_scripted_lines_are_a_stream_or_a_body_as_asked(fake, client):
    line = {"message": {"role": "assistant", "content": "<b>"}, "done": True}
    fake.script("/api/chat", Scripted(lines=[line]))
    streamed, lines = await post(client, fake, path="/api/chat", body=CHAT)
    whole, body = await post(client, fake, path="/api/chat", body={**CHAT, "stream": False})
    assert streamed.headers["Content-Type"] == "application/x-ndjson"
    assert lines == body + b"\n"
    assert b"\\u003cb\\u003e" in body
    assert whole.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_scripted_sse_takes_objects_and_markers(fake, client):
    fake.script("/v1/chat/completions", Scripted(lines=[{"id": "1"}, "[DONE]"]))
    response, body = await post(client, fake, path="/v1/chat/completions", body=STREAM)
    assert response.headers["Content-Type"] == "text/event-stream"
    assert body == b'data: {"id":"1"}\n\ndata: [DONE]\n\n'


async def test_scripted_answers_are_served_in_order_and_the_last_stays(fake, client):
    fake.script("/api/chat", Scripted(status=503, lines=[{"error": "busy"}]), Scripted(body=b"{}"))
    statuses = [(await post(client, fake, path="/api/chat", body=CHAT))[0].status for _ in range(3)]
    assert statuses == [503, 200, 200]


async def test_scripted_chunks_are_separate_writes(fake, client):
    fake.script("/api/chat", Scripted(chunks=[b'{"a":', b"1}\n"], delay_s=0.01))
    async with client.post(fake.url + "/api/chat", json=CHAT) as response:
        chunks = [chunk async for chunk in response.content.iter_any()]
    assert chunks == [b'{"a":', b"1}\n"]


async def test_scripts_answer_paths_the_fake_does_not_know(fake, client):
    fake.script("/v1/messages", Scripted(chunks=[b"event: ping\n", b"data: {}\n\n"]))
    _, body = await post(client, fake, path="/v1/messages", body={"stream": True})
    assert body == b"event: ping\ndata: {}\n\n"
    assert fake.requests[0].path == "/v1/messages"


async def test_faults_distort_scripted_answers_too(fake, client):
    fake.script("/api/chat", Scripted(lines=[{"n": 1}, {"n": 2}, {"done": True}]))
    fake.faults = Faults(missing_end=True, bad_json_at=0)
    _, body = await post(client, fake, path="/api/chat", body=CHAT)
    assert body.splitlines()[1:] == [b'{"n":2}']


async def test_reset_forgets_faults_scripts_and_requests(fake, client):
    fake.script("/api/chat", Scripted(body=b"{}"))
    fake.faults = Faults(status=500)
    await post(client, fake, path="/api/chat", body=CHAT)
    fake.reset()
    _, body = await post(client, fake, path="/api/chat", body=CHAT)
    assert body.endswith(b"}\n")
    assert len(fake.requests) == 1


async def test_until_gives_up(fake):
    with pytest.raises(TimeoutError):
        await fake.until(lambda: False, within_s=0.01)

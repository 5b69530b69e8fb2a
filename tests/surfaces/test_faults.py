"""What a client is told when backends fail: another answer, an honest error, or an error inside the stream."""

import pytest

from router.routing.health import State
from tests.fakes import FakeBackend, Faults, Scripted
from tests.running import running
from tests.surfaces.asking import CHAT, HELLO, alias, asked, at, backends, error_of, idle, saying, streamed

pytestmark = pytest.mark.anyio

MODELS = {"ollama": "llama3.2", "openai": "fake-chat", "llama_cpp": "smollm2", "claude": "claude-sonnet-5"}

BEFORE_CONTENT = {
    "refused": None,
    "500": Faults(status=500),
    "502 of a proxy": Faults(status=502, body="<html>bad gateway</html>"),
    "503": Faults(status=503),
    "429": Faults(status=429),
    "408": Faults(status=408),
    "401": Faults(status=401),
    "403": Faults(status=403),
    "redirect": Faults(status=302, headers={"Location": "http://127.0.0.1:9/"}),
    "hang before headers": Faults(hang_before_headers=True),
    "hang after headers": Faults(stall_after=0),
    "hang after the role": Faults(stall_after=1),
    "reset before headers": Faults(drop_after=0),
    "reset after the role": Faults(drop_after=1),
    "ended after the role": Faults(end_after=1),
    "empty": Faults(end_after=0),
    "bad JSON": Faults(bad_json_at=1),
    "error at once": Faults(error_at=0),
    "error after the role": Faults(error_at=1),
}
BLAMELESS = {"503", "429"}


@pytest.mark.parametrize("fault", BEFORE_CONTENT)
async def test_a_failure_before_content_is_answered_by_the_next_target(pair, fault):
    if (faults := BEFORE_CONTENT[fault]) is None:
        await pair.first.stop()
    else:
        pair.first.faults = faults
    answer = await streamed(pair.r.client, "both")
    assert (answer.text, answer.done, answer.errors) == ("I am second.", True, [])
    assert answer.headers["x-turnout-backend"] == "second"
    assert answer.headers["x-turnout-attempts"] == "2"


@pytest.mark.parametrize("fault", BEFORE_CONTENT)
async def test_a_backend_that_failed_is_down_unless_it_was_only_busy(pair, fault):
    if (faults := BEFORE_CONTENT[fault]) is None:
        await pair.first.stop()
    else:
        pair.first.faults = faults
    await streamed(pair.r.client, "both")
    expected = State.UP if fault in BLAMELESS else State.DOWN
    assert pair.r.router.fleet.health["first"].state is expected
    assert pair.r.router.fleet.health["second"].state is State.UP


WHOLE = {name: BEFORE_CONTENT[name] for name in ("refused", "500", "503", "429", "hang before headers", "empty")} | {
    "bad JSON": Faults(bad_json_at=0),
    "half a body": Faults(drop_after=1),
    "half a body, then silence": Faults(stall_after=1),
    "HTML instead of JSON": Faults(status=200, body="<html>welcome</html>"),
    "JSON that is no answer": Faults(status=200, body={"hello": "there"}),
    "an error with status 200": Faults(status=200, body={"error": {"message": "out of memory"}}),
}


@pytest.mark.parametrize("fault", WHOLE)
async def test_a_failed_whole_answer_is_asked_of_the_next_target(pair, fault):
    if (faults := WHOLE[fault]) is None:
        await pair.first.stop()
    else:
        pair.first.faults = faults
    response = await pair.r.client.post(CHAT, json=asked("both"))
    assert response.status_code == 200
    assert response.json()["choices"][0]["message"]["content"] == "I am second."
    assert response.headers["x-turnout-attempts"] == "2"


AFTER_CONTENT = {
    "reset": Faults(drop_after=2),
    "silence": Faults(stall_after=2),
    "bad JSON": Faults(bad_json_at=2),
    "an error line": Faults(error_at=2),
    "a clean end without an end marker": Faults(missing_end=True),
}


@pytest.fixture(params=MODELS)
async def alone(request, anyio_backend):
    """One backend of each kind that fails; nobody else could answer anyhow once content is out."""
    async with FakeBackend(flavour=request.param) as fake, FakeBackend(flavour="openai") as other:
        config = {
            "backends": {**backends({"desk": fake}, timeouts={"idle": 0.1}), **backends({"other": other})},
            "models": alias("one", f"desk/{MODELS[request.param]}", "other/fake-chat"),
        }
        async with running(config) as r:
            yield r, fake, other


@pytest.mark.parametrize("fault", AFTER_CONTENT)
async def test_a_failure_after_content_is_one_error_event_without_end_marker(alone, fault):
    r, fake, other = alone
    fake.faults = AFTER_CONTENT[fault]
    answer = await streamed(r.client, "one")
    assert answer.text
    assert fake.reply.startswith(answer.text)
    assert len(answer.errors) == 1
    assert answer.errors[0] == answer.events[-1]["error"]
    assert set(answer.errors[0]) == {"message", "type", "param", "code"}
    assert (answer.finish_reasons, answer.done) == ([], False)
    assert other.requests == []


@pytest.mark.parametrize("fault", AFTER_CONTENT)
async def test_a_failure_after_content_counts_against_the_backend(alone, fault):
    r, fake, _ = alone
    fake.faults = AFTER_CONTENT[fault]
    await streamed(r.client, "one")
    assert r.router.fleet.health["desk"].state is State.DOWN
    assert idle(r)


def impatient(url):
    """A backend of which little is known and that is not waited for."""
    return {**at(url, timeouts={"idle": 0.1}), "health": {"timeout_s": 0.1}}


async def test_a_broken_chunked_body_is_a_broken_stream(anyio_backend):
    frame = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%b\r\n" % (len(frame), frame)
    async with saying(head + chunk, b"this is no chunk size\r\n") as url, running(impatient(url)) as r:
        answer = await streamed(r.client, "desk/m")
    assert (answer.text, len(answer.errors), answer.done) == ("Hi", 1, False)


@pytest.mark.parametrize("junk", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", b""])
async def test_something_that_speaks_no_http_is_a_bad_gateway(anyio_backend, junk):
    async with saying(junk) as url, running(impatient(url)) as r:
        response = await r.client.post(CHAT, json=asked("desk/m"))
    assert response.status_code == 502
    assert error_of(response)["code"] == "backend_unreachable"


@pytest.mark.parametrize(("status", "code"), [(503, "backend_busy"), (429, "rate_limit_exceeded")])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_busy_backend_is_passed_on_with_its_retry_after(alone, status, code, stream):
    r, fake, other = alone
    await other.stop()
    fake.faults = Faults(status=status, headers={"Retry-After": "17"})
    response = await r.client.post(CHAT, json=asked("one", stream=stream))
    assert response.status_code == status
    assert response.headers["retry-after"] == "17"
    assert error_of(response)["code"] == code


async def test_the_soonest_time_to_come_back_is_told(pair):
    pair.first.faults = Faults(status=503, headers={"Retry-After": "40"})
    pair.second.faults = Faults(status=429, headers={"Retry-After": "9"})
    response = await pair.r.client.post(CHAT, json=asked("both"))
    assert (response.status_code, response.headers["retry-after"]) == (429, "9")


async def test_a_model_missing_on_the_second_target_does_not_hide_that_the_first_is_down(pair):
    pair.first.faults = Faults(status=500)
    pair.second.models = []
    response = await pair.r.client.post(CHAT, json=asked("both"))
    assert (response.status_code, error_of(response)["code"]) == (502, "backend_error")


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
async def test_a_mistake_of_the_client_is_told_at_once_and_is_nobodys_fault(pair, status):
    pair.first.faults = Faults(status=status, body={"error": {"message": "not like that", "code": "odd"}})
    response = await pair.r.client.post(CHAT, json=asked("both"))
    assert response.status_code == status
    assert error_of(response)["type"] == "invalid_request_error"
    assert "not like that" in error_of(response)["message"]
    assert (len(pair.first.requests), pair.second.requests) == (1, [])
    assert pair.r.router.fleet.health["first"].state is State.UP


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "message",
    ["Missing 'role' in message", "image input is not supported - hint: if this is unexpected", "tools need --jinja"],
)
async def test_a_clients_mistake_that_llama_cpp_calls_500_is_a_400(anyio_backend, message, stream):
    async with FakeBackend(flavour="llama_cpp") as fake, running({"backends": backends({"desk": fake})}) as r:
        fake.faults = Faults(status=500, body={"error": {"code": 500, "message": message, "type": "server_error"}})
        response = await r.client.post(CHAT, json=asked("smollm2", stream=stream))
        assert response.status_code == 400
        assert error_of(response)["type"] == "invalid_request_error"
        assert len(fake.requests) == 1
        assert r.router.fleet.health["desk"].state is State.UP


async def test_a_missing_model_is_no_fault_of_its_backend(pair):
    pair.first.models = []
    answer = await streamed(pair.r.client, "both")
    assert answer.headers["x-turnout-backend"] == "second"
    health = pair.r.router.fleet.health["first"]
    assert (health.state, health.missing) == (State.UP, {"fake-chat"})


async def test_a_missing_model_is_not_asked_for_again_while_another_target_has_it(pair):
    pair.first.models = []
    for _ in range(2):
        answer = await streamed(pair.r.client, "both")
    assert answer.headers["x-turnout-attempts"] == "1"
    assert len(pair.first.requests) == 1


async def test_a_missing_model_is_a_404_when_nobody_has_it(anyio_backend):
    async with FakeBackend() as fake, running({"backends": backends({"desk": fake})}) as r:
        response = await r.client.post(CHAT, json=asked("desk/nobody-has-me"))
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")


async def test_an_error_that_comes_in_pieces_is_read_whole(anyio_backend):
    pieces = [b'{"error":{"message":"The model `fake-chat` ', b'does not exist","code":"model_not_found"}}']
    async with FakeBackend(flavour="openai") as fake, running({"backends": backends({"desk": fake})}) as r:
        fake.script(CHAT, Scripted(status=404, chunks=pieces, delay_s=0.02, content_type="application/json"))
        response = await r.client.post(CHAT, json=asked("desk/fake-chat"))
        assert (response.status_code, error_of(response)["code"]) == (404, "model_not_found")
        assert r.router.fleet.health["desk"].state is State.UP


async def test_a_refused_key_of_the_router_is_never_the_clients_401(anyio_backend):
    async with FakeBackend(flavour="openai") as fake, running({"backends": backends({"desk": fake})}) as r:
        fake.faults = Faults(status=401)
        response = await r.client.post(CHAT, json=asked("desk/fake-chat"))
    assert (response.status_code, error_of(response)["code"]) == (502, "upstream_auth")


async def test_a_stream_that_the_backend_answers_whole_is_still_a_stream_or_an_error(alone):
    r, fake, other = alone
    await other.stop()
    fake.faults = Faults(ignore_stream=True)
    response = await r.client.post(CHAT, json=asked("one", stream=True))
    assert response.status_code in {200, 502}
    if response.status_code == 200:
        assert response.content.endswith(b"data: [DONE]\n\n")


@pytest.fixture
async def desk(anyio_backend):
    async with FakeBackend(flavour="openai") as fake, running({"backends": backends({"desk": fake})}) as r:
        yield r, fake


async def test_an_unreachable_backend_is_tried_again_when_there_is_no_other(desk):
    r, fake = desk
    fake.faults = Faults(drop_after=0, times=2)
    response = await r.client.post(CHAT, json=asked("desk/fake-chat"))
    assert response.status_code == 200
    assert response.headers["x-turnout-attempts"] == "2"


async def test_a_dead_idle_connection_costs_no_attempt(desk):
    r, fake = desk
    await r.client.post(CHAT, json=asked("desk/fake-chat"))
    await fake.stop()
    await fake.start()
    response = await r.client.post(CHAT, json=asked("desk/fake-chat"))
    assert (response.status_code, response.headers["x-turnout-attempts"]) == (200, "1")
    assert r.router.fleet.health["desk"].state is State.UP


async def test_a_flaky_backend_never_shows_while_a_steady_one_is_there(pair):
    pair.first.faults = Faults(status=500, flaky=0.5)
    for _ in range(20):
        answer = await streamed(pair.r.client, "both")
        assert (answer.status, answer.done, answer.errors) == (200, True, [])
        await pair.r.looked()
    assert len(pair.second.requests) > 0
    assert len(pair.first.requests) > 10


async def test_prompts_of_any_size_survive_a_failover(pair):
    pair.first.faults = Faults(status=500)
    long = [{"role": "user", "content": "word " * 100_000}]
    await pair.r.client.post(CHAT, json={"model": "both", "messages": [*HELLO, *long]})
    assert pair.second.requests[0].json["messages"] == [*HELLO, *long]

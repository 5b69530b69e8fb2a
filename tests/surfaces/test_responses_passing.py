"""`/v1/responses` over a backend that has it: the client's own words there, and the backend's own back."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.settings.backends import BackendSettings
from tests.dialects.responses_reading import events_of
from tests.fakes import FakeBackend, FakeModel, Faults
from tests.fakes.responses_routes import SEALED
from tests.running import running
from tests.surfaces.asking import alias, asked, at, backends

pytestmark = pytest.mark.anyio

RESPONSES = "/v1/responses"
ABLE = [FakeModel("able", ("completion", "tools", "vision", "thinking"))]
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
BODY = {
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "hello"}], "nobody": "knows this"}],
    "tools": [{"type": "web_search", "filters": {"allowed_domains": ["a.test"]}}],
    "prompt_cache_key": "k",
    "text": {"verbosity": "low"},
    "unheard_of": [1, 2],
}


@pytest.fixture
async def fake(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(ABLE, flavour="openai", reply="one two three four") as fake:
        yield fake


def native(fake: FakeBackend, **more: Any) -> dict[str, Any]:
    return {**at(fake.url, responses=True), "models": alias("m", "desk/able", **more)}


def last(stream: bytes) -> dict[str, Any]:
    return events_of(stream)[-1]["response"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_it_gets_the_clients_own_words_and_the_client_its(fake, stream):
    body = {"model": "m", **BODY, "stream": stream}
    async with running(native(fake)) as r:
        response = await r.client.post(RESPONSES, json=body)
    assert response.status_code == 200, response.text
    (sent,) = fake.requests
    assert (sent.path, sent.json) == ("/v1/responses", {**body, "model": "able"})
    assert "x-turnout-dropped" not in response.headers
    told = last(response.content) if stream else response.json()
    assert (told["model"], told["billing"]) == ("m", {"a": 1})
    assert [item["type"] for item in told["output"]] == ["web_search_call", "message"]
    assert told["output"][1]["content"][0]["annotations"] == [{"type": "url_citation"}]
    if stream:
        models = [event["response"]["model"] for event in events_of(response.content) if "response" in event]
        assert set(models) == {"m"}


async def test_other_clients_are_served_by_its_chat_completions(fake):
    async with running(native(fake)) as r:
        assert (await r.client.post("/v1/chat/completions", json=asked("m"))).status_code == 200
    assert fake.requests[0].path == "/v1/chat/completions"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_what_it_said_can_be_gone_on_from_with_its_sealed_thoughts(fake, stream):
    fake.thinking = "hm"
    body = {"model": "m", "input": "What is the weather?", "tools": [TOOL], "stream": stream}
    async with running(native(fake)) as r:
        response = await r.client.post(RESPONSES, json=body)
        first = last(response.content) if stream else response.json()
        looked = (await r.client.get(f"{RESPONSES}/{first['id']}")).json()
        result = {"type": "function_call_output", "call_id": first["output"][1]["call_id"], "output": "sun"}
        body |= {"previous_response_id": first["id"], "input": [result]}
        second = await r.client.post(RESPONSES, json=body)
    assert second.status_code == 200, second.text
    assert looked == first
    sent = fake.requests[-1].json
    assert "previous_response_id" not in sent
    question, *rest = sent["input"]
    assert (question["content"], rest) == ("What is the weather?", [*first["output"], result])
    assert rest[0]["encrypted_content"] == SEALED


async def test_thoughts_of_another_backend_do_not_go_to_it(fake):
    fake.thinking = "hm"
    config = {"backends": backends({"plain": fake}) | backends({"native": fake}, responses=True)}
    async with running(config) as r:
        first = (await r.client.post(RESPONSES, json={"model": "plain/able", "input": "hello"})).json()
        assert [item["type"] for item in first["output"]] == ["reasoning", "message"]
        body = {"model": "native/able", "input": "again", "previous_response_id": first["id"]}
        assert (await r.client.post(RESPONSES, json=body)).status_code == 200
    assert [item.get("type") for item in fake.requests[-1].json["input"]] == ["message", "message", "message"]


@pytest.mark.parametrize(
    ("faults", "kind"),
    [(Faults(drop_after=4), "cut"), (Faults(end_after=4), "cut"), (Faults(error_at=4), "told")],
)
async def test_a_broken_stream_is_failed_in_its_own_numbering(fake, faults, kind):
    fake.faults = faults
    async with running(native(fake)) as r:
        response = await r.client.post(RESPONSES, json={"model": "m", "input": "hello", "stream": True})
        events = events_of(response.content)
        assert [event["type"] for event in events][-2:] == ["error", "response.failed"], kind
        assert events[-1]["response"]["id"] == events[0]["response"]["id"]
        assert (await r.client.get(f"{RESPONSES}/{events[0]['response']['id']}")).status_code == 404


async def test_before_content_another_backend_takes_over(fake):
    async with FakeBackend(ABLE, flavour="ollama", reply="I am second.") as other:
        fake.faults = Faults(status=500)
        config = {
            "backends": backends({"a": fake}, responses=True) | backends({"b": other}),
            "models": alias("both", "a/able", "b/able"),
        }
        async with running(config) as r:
            response = await r.client.post(RESPONSES, json={"model": "both", **BODY, "stream": True})
    assert last(response.content)["output"][0]["content"][0]["text"] == "I am second."
    assert set(response.headers["x-turnout-dropped"].split(", ")) >= {"web_search", "unheard_of"}


async def test_a_stream_that_breaks_off_goes_on_elsewhere_as_one_response(fake):
    fake.reply = "One two three four five six."
    async with FakeBackend(ABLE, flavour="llama_cpp", reply=fake.reply) as other:
        fake.faults = Faults(drop_after=5)
        config = {
            "backends": backends({"a": fake}, responses=True) | backends({"b": other}),
            "models": alias("both", "a/able", "b/able", resume=True),
        }
        async with running(config) as r:
            response = await r.client.post(RESPONSES, json={"model": "both", "input": "hello", "stream": True})
            events = events_of(response.content)
            kept = (await r.client.get(f"{RESPONSES}/{events[0]['response']['id']}")).json()
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["id"] == events[0]["response"]["id"]
    added = [event["item"]["id"] for event in events if event["type"] == "response.output_item.added"]
    (item,) = events[-1]["response"]["output"]
    assert (added, item["content"][0]["text"]) == ([item["id"]], fake.reply)
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    assert {event["item_id"] for event in deltas} == {item["id"]}
    assert "".join(event["delta"] for event in deltas) == fake.reply
    assert kept == events[-1]["response"]


async def test_what_an_alias_says_is_told_in_its_words(fake):
    options = {"temperature": 0.5, "reasoning_effort": "low", "top_k": 3}
    async with running(native(fake, max_tokens=3, options=options)) as r:
        cut = (await r.client.post(RESPONSES, json={"model": "m", "input": "hello"})).json()
        await r.client.post(RESPONSES, json={"model": "m", "input": "hello", "temperature": 1, "max_output_tokens": 2})
    first, second = (request.json for request in fake.requests)
    assert first | {"model": "", "input": ""} == {
        "model": "", "input": "", "max_output_tokens": 3, "temperature": 0.5, "reasoning": {"effort": "low"}
    }  # fmt: skip
    assert (second["max_output_tokens"], second["temperature"]) == (2, 1)
    assert (cut["status"], cut["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


async def test_a_stream_over_one_that_only_answers_whole_and_the_other_way_round(fake):
    for setting in ({"stream": False}, {"stream_only": ["*"]}):
        config = {**at(fake.url, responses=True, **setting), "models": alias("m", "desk/able")}
        async with running(config) as r:
            streamed = await r.client.post(RESPONSES, json={"model": "m", "input": "hello", "stream": True})
            assert last(streamed.content)["output"][0]["content"][0]["text"] == fake.reply
            whole = (await r.client.post(RESPONSES, json={"model": "m", "input": "hello"})).json()
            assert whole["output"][0]["content"][0]["text"] == fake.reply


def test_openais_own_server_is_known_and_others_have_to_say_so():
    def has(**fields: Any) -> bool:
        return BackendSettings(type="openai", **{"url": "http://desk.test", **fields}).has_responses

    assert has(url="https://api.openai.com/v1")
    assert not has(url="https://api.openai.com", responses=False)
    assert not has()
    assert has(responses=True)
    with pytest.raises(ValueError, match="only a backend of type openai"):
        BackendSettings(type="ollama", url="http://desk.test", responses=True)

"""What only llama.cpp's adapter does."""

import msgspec
import pytest

from router.errors import BackendFailed, StreamBroken, UnsupportedParameter
from tests.adapters.party import TOOLS, USER, Party, party
from tests.dialects.recordings import body, recording
from tests.fakes import FakeModel, Scripted

pytestmark = pytest.mark.anyio

NAMED = {"type": "function", "function": {"name": "g"}}
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,AA=="}]}]


async def looked_at(who: Party, *capabilities: str) -> None:
    who.fake.models = [FakeModel("smollm2", capabilities)]
    await who.adapter.probe(timeout_s=5)


async def test_a_named_tool_is_forced_the_only_way_the_server_knows():
    async with party("llama_cpp") as who:
        await who.hear(tools=TOOLS, tool_choice=NAMED)
        sent = who.fake.requests[0].json
    assert sent["tool_choice"] == "required"
    assert sent["tools"] == [TOOLS[1]]


async def test_a_tool_choice_without_a_name_stays_as_it_is():
    async with party("llama_cpp") as who:
        await who.hear(tools=TOOLS, tool_choice="required")
        sent = who.fake.requests[0].json
    assert (sent["tool_choice"], sent["tools"]) == ("required", TOOLS)


async def test_a_tool_choice_that_names_no_tool_is_refused():
    async with party("llama_cpp") as who:
        error = (await who.hear(tools=TOOLS[:1], tool_choice=NAMED)).error
        assert isinstance(error, UnsupportedParameter)
        assert (error.param, who.fake.requests) == ("tool_choice", [])


async def test_tools_that_the_template_would_drop_are_refused():
    async with party("llama_cpp") as who:
        await looked_at(who, "completion")
        error = (await who.hear(tools=TOOLS)).error
        assert isinstance(error, UnsupportedParameter)
        assert (error.param, who.fake.requests) == ("tools", [])


async def test_tools_that_must_not_be_called_are_no_reason_to_refuse():
    async with party("llama_cpp") as who:
        await looked_at(who, "completion")
        answer = await who.hear(tools=TOOLS, tool_choice="none")
        assert answer.error is None
        assert len(who.fake.requests) == 1


async def test_images_that_the_model_cannot_see_are_refused():
    async with party("llama_cpp") as who:
        await looked_at(who, "completion")
        error = (await who.hear(messages=IMAGE)).error
        assert isinstance(error, UnsupportedParameter)
        assert error.param == "messages"


@pytest.mark.parametrize("abilities", [("completion", "tools", "vision"), ()])
async def test_what_the_model_can_do_or_may_be_able_to_is_sent(abilities):
    async with party("llama_cpp") as who:
        if abilities:
            await looked_at(who, *abilities)
        assert (await who.hear(messages=IMAGE, tools=TOOLS)).error is None


async def test_an_answer_to_a_prefilled_turn_does_not_repeat_it():
    asked = recording("assistant_prefill")["request"]["body"]["messages"]
    said = recording("assistant_prefill")["response"]["body"]["choices"][0]["message"]["content"]
    prefill = asked[-1]["content"]
    assert said.startswith(prefill)
    async with party("llama_cpp") as who:
        who.fake.script(who.chat_path, Scripted(body=body("assistant_prefill")))
        heard = await who.hear(stream=False, messages=asked)
    assert heard.text == said.removeprefix(prefill)
    raw = msgspec.json.decode(heard.frames[0].raw)
    assert raw["choices"][0]["message"]["content"] == heard.text
    assert raw["timings"] == recording("assistant_prefill")["response"]["body"]["timings"]


async def test_an_answer_of_an_odd_shape_to_a_prefilled_turn_passes():
    async with party("llama_cpp") as who:
        who.fake.script(who.chat_path, Scripted(body=b'{"choices":[{"text":"x"}]}'))
        heard = await who.hear(stream=False, messages=[USER, {"role": "assistant", "content": "One"}])
    assert heard.error is None


async def test_this_server_owes_its_end_marker():
    async with party("llama_cpp") as who:
        who.fake.send_done = False
        assert isinstance((await who.hear()).error, StreamBroken)


async def test_usage_is_not_asked_for_behind_the_clients_back():
    async with party("llama_cpp") as who:
        await who.hear()
        assert "stream_options" not in who.fake.requests[0].json


async def test_every_byte_but_the_name_is_the_servers():
    async with party("llama_cpp") as who:
        who.fake.script(who.chat_path, Scripted(chunks=[body("chat_stream")]))
        heard = await who.hear()
    forwarded = b"".join(frame.raw for frame in heard.frames)
    assert forwarded.count(b'"timings"') == 1
    assert b"alias-two" not in forwarded


async def test_a_look_knows_abilities_context_and_size():
    async with party("llama_cpp") as who:
        who.fake.models = [FakeModel("smollm2", ("completion", "tools", "vision"), size=77, context_length=2048)]
        (model,) = (await who.adapter.probe(timeout_s=5)).models
    assert model.capabilities == {"chat", "tools", "vision"}
    assert (model.context_length, model.size, model.loaded) == (2048, 77, True)


async def test_a_recorded_server_is_looked_at():
    async with party("llama_cpp") as who:
        who.fake.script("/props", Scripted(body=body("props")))
        who.fake.script("/v1/models", Scripted(body=body("models")))
        (model,) = (await who.adapter.probe(timeout_s=5)).models
    listed = recording("models")["response"]["body"]["data"][0]
    assert (model.name, model.size) == (listed["id"], listed["meta"]["size"])
    assert model.context_length == recording("props")["response"]["body"]["default_generation_settings"]["n_ctx"]


async def test_a_sleeping_server_is_there_but_not_loaded():
    async with party("llama_cpp") as who:
        who.fake.script("/props", Scripted(body=body("props_sleeping")))
        (model,) = (await who.adapter.probe(timeout_s=5)).models
    assert model.loaded is False


async def test_a_server_of_another_kind_is_not_taken_for_llama_cpp():
    async with party("llama_cpp") as who:
        who.fake.script("/props", Scripted(body=b"<html>"))
        with pytest.raises(BackendFailed, match="does not answer like a llama"):
            await who.adapter.probe(timeout_s=5)


async def test_tools_that_may_not_be_called_are_no_reason_to_refuse():
    async with party("llama_cpp") as who:
        who.fake.models = [FakeModel("smollm2")]
        await who.adapter.probe(timeout_s=5)
        forbidden = await who.hear(tools=TOOLS, tool_choice="none")
        allowed = await who.hear(tools=TOOLS)
    assert (forbidden.error, forbidden.text) == (None, "Hello from the fake.")
    assert isinstance(allowed.error, UnsupportedParameter)

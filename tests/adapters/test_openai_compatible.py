"""What only the adapter for any OpenAI-compatible server does."""

import pytest

from router.errors import BackendFailed, StreamBroken, UnsupportedParameter
from tests.adapters.party import party
from tests.fakes import Faults, Scripted

pytestmark = pytest.mark.anyio


async def test_usage_is_always_asked_for_in_a_stream():
    async with party("openai") as who:
        await who.hear(stream_options={"include_obfuscation": False})
        asked = who.fake.requests[0].json["stream_options"]
    assert asked == {"include_obfuscation": False, "include_usage": True}


async def test_usage_is_not_asked_for_in_a_whole_answer():
    async with party("openai") as who:
        await who.hear(stream=False)
        assert "stream_options" not in who.fake.requests[0].json


async def test_a_server_without_end_marker_is_believed_its_finish_reason():
    async with party("openai") as who:
        who.fake.send_done = False
        heard = await who.hear()
    assert (heard.text, heard.error) == (who.fake.reply, None)


async def test_a_stream_cut_before_its_finish_reason_is_broken():
    async with party("openai") as who:
        who.fake.faults = Faults(end_after=4)
        assert isinstance((await who.hear()).error, StreamBroken)


async def test_context_lengths_are_read_in_any_servers_words():
    listed = [{"id": "a", "max_model_len": 4096}, {"id": "b", "context_length": 8192}, {"id": "c", "created": 1.5}]
    async with party("openai") as who:
        who.fake.script("/v1/models", Scripted(lines=[{"data": listed}]))
        models = (await who.adapter.probe(timeout_s=5)).models
    assert [(model.name, model.context_length) for model in models] == [("a", 4096), ("b", 8192), ("c", None)]


async def test_models_named_in_the_settings_are_the_list():
    async with party("openai", models=("x", "y")) as who:
        assert [model.name for model in (await who.adapter.probe(timeout_s=5)).models] == ["x", "y"]


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_server_that_cannot_list_its_models_is_up_when_the_settings_name_them(status):
    async with party("openai", models=("x",)) as who:
        who.fake.script("/v1/models", Scripted(status=status, body=b"nope"))
        assert [model.name for model in (await who.adapter.probe(timeout_s=5)).models] == ["x"]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data":null}', b'{"data":[{"name":"x"}]}', b"\xff"])
async def test_a_server_of_another_kind_is_not_taken_for_openais(body):
    async with party("openai") as who:
        who.fake.script("/v1/models", Scripted(body=body))
        with pytest.raises(BackendFailed):
            await who.adapter.probe(timeout_s=5)


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_vectors_of_another_width_than_the_one_asked_for_are_refused(encoding):
    async with party("llama_cpp") as who:
        with pytest.raises(UnsupportedParameter, match="vectors of 4 numbers") as caught:
            await who.embed(["a"], dimensions=2, encoding_format=encoding)
        same = await who.embed(["a"], dimensions=4, encoding_format=encoding)
    assert caught.value.param == "dimensions"
    assert len(same.vectors) == 1

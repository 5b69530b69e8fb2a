"""llama.cpp's recorded answers pass through untouched but for the model's name."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.canonical.events import Finished, TextDelta, UsageReported
from router.canonical.fold import Completed, fold
from router.dialects import openai_chat
from tests.dialects.recordings import CHAT_STREAMS, WHOLE_CHATS, body, recording
from tests.dialects.streams import cut, cuts, events, frames, payloads

MODEL = re.compile(rb'"model":"[^"]*"')
SHOWN = "my/model é"
AS_SHOWN = b'"model":"my/model \xc3\xa9"'


def choices_of(name: str) -> int:
    return recording(name)["request"]["body"].get("n", 1)


def decoder_for(name: str) -> openai_chat.StreamDecoder:
    return openai_chat.StreamDecoder(SHOWN, choices=choices_of(name), strict_end=True)


def forwarded(name: str, *, include_usage: bool, reads: list[bytes] | None = None) -> bytes:
    encoder = openai_chat.Encoder(model=SHOWN, include_usage=include_usage)
    return b"".join(encoder.forward(frame) for frame in frames(decoder_for(name), reads or [body(name)]))


def completed(name: str) -> Completed:
    return fold(events(frames(decoder_for(name), [body(name)])))


def renamed(name: str) -> bytes:
    return MODEL.sub(AS_SHOWN, body(name))


def usage_events(stream: bytes) -> list[bytes]:
    return [event for event in stream.split(b"\n\n") if b'"usage"' in event]


@pytest.mark.parametrize("name", [name for name in CHAT_STREAMS if choices_of(name) == 1])
def test_a_stream_is_forwarded_byte_for_byte_but_for_the_name(name):
    assert forwarded(name, include_usage=True).startswith(renamed(name).removesuffix(b"data: [DONE]\n\n"))


@pytest.mark.parametrize("name", CHAT_STREAMS)
def test_a_client_that_did_not_ask_gets_all_but_the_usage(name):
    wanted = [event for event in renamed(name).split(b"\n\n") if b'"usage"' not in event]
    assert forwarded(name, include_usage=False) == b"\n\n".join(wanted)


@pytest.mark.parametrize("name", CHAT_STREAMS)
def test_a_client_that_asked_gets_usage_in_the_last_chunk(name):
    *_, last, end = payloads(forwarded(name, include_usage=True))
    assert end == "[DONE]"
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + last["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("name", CHAT_STREAMS)
@settings(max_examples=20)
@given(st.data())
def test_a_recording_is_forwarded_the_same_however_it_is_cut(name, data):
    places = data.draw(cuts(len(body(name))))
    reads = cut(body(name), places)
    assert forwarded(name, include_usage=True, reads=reads) == forwarded(name, include_usage=True)


def test_the_usage_of_two_choices_is_their_sum():
    reported = [
        payload["usage"]["completion_tokens"] for payload in payloads(body("chat_n2_stream")) if "usage" in payload
    ]
    assert len(reported) == 2
    assert completed("chat_n2_stream").usage.completion == sum(reported)


def test_the_usage_of_two_choices_is_told_once():
    usages = usage_events(forwarded("chat_n2_stream", include_usage=True))
    assert len(usages) == 1


def test_two_choices_are_kept_apart():
    first, second = completed("chat_n2_stream").choices
    assert (first.index, second.index) == (0, 1)
    assert first.text
    assert second.text


def test_usage_that_nobody_asked_for_is_read_from_the_timings():
    assert completed("chat_stream").usage == UsageReported(prompt=37, completion=6, cached=36)


def test_a_streamed_tool_call_is_put_together():
    (call,) = completed("tools_call_stream").choices[0].tool_calls
    assert call.name == "get_weather"
    assert call.arguments.startswith("{\n")
    assert set(json.loads(call.arguments)) >= {"city"}


def test_a_streamed_tool_call_finishes_with_tool_calls():
    assert completed("tools_call_stream").choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("name", ["tools_call_truncated_stream", "tools_call_parallel_stream_cut"])
def test_a_tool_call_cut_by_the_limit_stays_cut(name):
    assert completed(name).choices[0].finish_reason == "length"


def test_reasoning_is_kept_apart_from_the_answer():
    (choice,) = completed("reasoning_stream").choices
    wanted = "".join(
        payload["choices"][0]["delta"].get("reasoning_content") or ""
        for payload in payloads(body("reasoning_stream"))
        if payload != "[DONE]" and payload["choices"]
    )
    assert choice.reasoning == wanted != ""


def test_logprobs_of_a_stream_are_collected():
    assert completed("chat_logprobs_stream").choices[0].logprobs is not None


@pytest.mark.parametrize("name", CHAT_STREAMS)
def test_every_recorded_stream_finishes_every_choice(name):
    found = events(frames(decoder_for(name), [body(name)]))
    assert len([event for event in found if isinstance(event, Finished)]) == choices_of(name)


@pytest.mark.parametrize("name", CHAT_STREAMS)
def test_a_stream_in_another_encoding_says_the_same(name):
    """Written anew for a client, as the answer of a backend of another format is."""
    encoder = openai_chat.Encoder(model=SHOWN, include_usage=True)
    again = b"".join(encoder.encode(frame.events) for frame in frames(decoder_for(name), [body(name)]))
    assert fold(events(frames(openai_chat.StreamDecoder(SHOWN), [again]))) == completed(name)


@pytest.mark.parametrize("name", WHOLE_CHATS)
def test_a_whole_answer_is_forwarded_byte_for_byte_but_for_the_name(name):
    assert openai_chat.decode_whole(body(name), SHOWN).raw == MODEL.sub(AS_SHOWN, body(name), count=1)


@pytest.mark.parametrize("name", WHOLE_CHATS)
def test_a_whole_answer_says_what_it_holds(name):
    said = recording(name)["response"]["body"]
    found = fold(openai_chat.decode_whole(body(name), SHOWN).events)
    assert [choice.text for choice in found.choices] == [choice["message"]["content"] for choice in said["choices"]]
    assert [choice.finish_reason for choice in found.choices] == [choice["finish_reason"] for choice in said["choices"]]
    assert found.usage.prompt == said["usage"]["prompt_tokens"]
    assert found.usage.completion == said["usage"]["completion_tokens"]


@pytest.mark.parametrize("name", ["tools_call", "tools_required"])
def test_the_tool_calls_of_a_whole_answer_are_found(name):
    calls = recording(name)["response"]["body"]["choices"][0]["message"].get("tool_calls", [])
    found = fold(openai_chat.decode_whole(body(name), SHOWN).events).choices[0].tool_calls
    assert [(call.id, call.name, call.arguments) for call in found] == [
        (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls
    ]


def test_the_text_comes_piece_by_piece():
    found = events(frames(decoder_for("chat_stream"), [body("chat_stream")]))
    assert len([event for event in found if isinstance(event, TextDelta)]) > 1

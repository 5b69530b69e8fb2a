"""Ollama's answers, beyond what the golden cases show."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.canonical.events import Finished, ReasoningDelta, TextDelta, ToolCallStarted, UsageReported
from router.canonical.fold import Completed, fold
from router.dialects import ollama, openai_chat
from router.errors import BackendFailed, StreamBroken
from tests.dialects.streams import cut, cuts, events, frames, texts

DONE = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}


def line(content: str = "", **more: Any) -> dict[str, Any]:
    return {
        "model": "wire",
        "created_at": "2026-11-21T10:00:00.5Z",
        "message": {"content": content, **more},
        "done": False,
    }


def call(name: str, arguments: Any = None, **more: Any) -> dict[str, Any]:
    function = {"name": name} if arguments is None else {"name": name, "arguments": arguments}
    return {"function": function, **more}


def ndjson(*lines: Any) -> bytes:
    return b"".join(msgspec.json.encode(each) + b"\n" for each in lines)


def read(*lines: Any) -> Completed:
    return fold(events(frames(ollama.StreamDecoder("shown"), [ndjson(*lines)])))


lines_of_text = st.lists(
    st.one_of(texts.map(line), texts.map(lambda text: line(thinking=text)), st.just(line())), max_size=6
)


@given(lines_of_text, st.data())
def test_an_answer_reads_the_same_however_it_is_cut(lines, data):
    stream = ndjson(*lines, DONE)
    reads = cut(stream, data.draw(cuts(len(stream))))
    assert fold(events(frames(ollama.StreamDecoder("shown"), reads))) == read(*lines, DONE)


@given(lines_of_text)
def test_every_text_and_thought_comes_through(lines):
    (choice,) = read(*lines, DONE).choices
    assert choice.text == "".join(each["message"]["content"] for each in lines)
    assert choice.reasoning == "".join(each["message"].get("thinking", "") for each in lines)


@given(lines_of_text)
def test_what_openai_clients_get_says_the_same(lines):
    encoder = openai_chat.Encoder(model="shown", include_usage=True)
    found = frames(ollama.StreamDecoder("shown"), [ndjson(*lines, {**DONE, "prompt_eval_count": 3, "eval_count": 4})])
    stream = b"".join(encoder.encode(frame.events) for frame in found)
    again = fold(events(frames(openai_chat.StreamDecoder("shown"), [stream])))
    assert (again.choices, again.usage) == (fold(events(found)).choices, UsageReported(3, 4))


@given(lines_of_text)
def test_an_answer_without_its_done_line_is_broken(lines):
    with pytest.raises(StreamBroken):
        read(*lines)


def test_thinking_and_text_of_one_line_come_in_that_order():
    found = events(frames(ollama.StreamDecoder("shown"), [ndjson(line("4", thinking="2+2"), DONE)]))
    assert [type(event) for event in found[1:3]] == [ReasoningDelta, TextDelta]


def test_calls_are_numbered_whatever_index_they_claim():
    first = {"function": {"index": 0, "name": "f", "arguments": {}}}
    second = {"function": {"index": 0, "name": "g", "arguments": {}}}
    found = events(
        frames(ollama.StreamDecoder("s"), [ndjson(line(tool_calls=[first]), line(tool_calls=[second]), DONE)])
    )
    assert [event.index for event in found if isinstance(event, ToolCallStarted)] == [0, 1]


@pytest.mark.parametrize("ids", [(None, None), ("same", "same"), ("", "")])
def test_every_call_has_an_id_of_its_own(ids):
    calls = [{**call("f"), "id": each} for each in ids]
    found = read(line(tool_calls=calls), DONE).choices[0].tool_calls
    assert len({each.id for each in found} - {""}) == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (None, "{}"),
        ({}, "{}"),
        ({"city": "Zürich", "n": 1.5}, '{"city":"Zürich","n":1.5}'),
        ('{"x":1}', '{"x":1}'),
        ("", "{}"),
    ],
)
def test_arguments_become_compact_text(arguments, text):
    assert read(line(tool_calls=[call("f", arguments)]), DONE).choices[0].tool_calls[0].arguments == text


def test_arguments_null_are_an_empty_object():
    stream = b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":null}}]},"done":true}\n'
    found = fold(events(frames(ollama.StreamDecoder("s"), [stream])))
    assert found.choices[0].tool_calls[0].arguments == "{}"


def test_arguments_with_a_huge_number_keep_it():
    stream = (
        b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"n":123456789012345678901}}}]},"done":true}\n'
    )
    found = fold(events(frames(ollama.StreamDecoder("s"), [stream])))
    assert json.loads(found.choices[0].tool_calls[0].arguments) == {"n": 123456789012345678901}


@pytest.mark.parametrize(
    ("reason", "called", "told"),
    [
        ("stop", False, "stop"), ("stop", True, "tool_calls"), ("length", True, "length"), ("length", False, "length"),
        ("load", False, "stop"), (None, True, "tool_calls"),
    ],
)  # fmt: skip
def test_the_finish_reason_remembers_earlier_calls(reason, called, told):
    lines = [line(tool_calls=[call("f")])] if called else [line("x")]
    found = events(frames(ollama.StreamDecoder("s"), [ndjson(*lines, {**DONE, "done_reason": reason})]))
    assert [event.reason for event in found if isinstance(event, Finished)] == [told]


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({}, None),
        ({"eval_count": 4}, UsageReported(None, 4)),
        ({"prompt_eval_count": 3}, UsageReported(3)),
        ({"prompt_eval_count": 3, "eval_count": 4, "prompt_eval_cached_count": 2}, UsageReported(3, 4, 2)),
    ],
)
def test_counts_are_taken_one_by_one(counts, usage):
    assert read({**DONE, **counts}).usage == usage


@pytest.mark.parametrize("error", ["CUDA error: out of memory", {"message": "CUDA error: out of memory"}])
def test_an_error_line_ends_the_answer_with_its_own_words(error):
    decoder = ollama.StreamDecoder("shown")
    found = decoder.feed(ndjson(line("Partial"), {"error": error}, line("more"), DONE))
    assert len(found) == 1
    assert isinstance(decoder.failure, StreamBroken)
    assert "CUDA error" in decoder.failure.message


@pytest.mark.parametrize(
    "junk", [b"{", b"nope", b'{"message":5}', b"\xff", b'{"message":{"content":"\xff"}}', b"[]", b"[" * 3_000]
)
def test_a_line_that_cannot_be_read_breaks_the_answer(junk):
    decoder = ollama.StreamDecoder("shown")
    assert len(decoder.feed(ndjson(line("Hi")) + junk + b"\n" + ndjson(DONE))) == 1
    assert isinstance(decoder.failure, StreamBroken)


def test_the_end_of_a_failed_answer_raises_nothing_of_its_own():
    decoder = ollama.StreamDecoder("shown")
    decoder.feed(ndjson({"error": "no"}))
    assert decoder.finish() == []


def test_what_follows_the_done_line_is_not_read():
    assert read(line("Hi"), DONE, line("more")).choices[0].text == "Hi"


def test_logprobs_have_both_keys_that_openai_promises():
    (choice,) = read({**line("Hi"), "logprobs": [{"token": "Hi", "logprob": -0.5}]}, DONE).choices
    assert json.loads(bytes(choice.logprobs)) == [{"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": []}]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"error":"no"}', b'{"done":false}', b"{}", b"\xff"])
def test_a_whole_answer_that_is_none_is_the_backends_failure(body):
    with pytest.raises(BackendFailed):
        ollama.decode_whole(body, "shown")


@given(lines_of_text)
def test_a_whole_answer_says_what_the_stream_says(lines):
    streamed = read(*lines, DONE)
    (choice,) = streamed.choices
    body = {
        **DONE,
        "created_at": "2026-11-21T10:00:00.5Z",
        "message": {"content": choice.text, "thinking": choice.reasoning},
    }
    whole = fold(ollama.decode_whole(msgspec.json.encode(body), "shown").events)
    assert whole.choices == streamed.choices


@pytest.mark.parametrize(
    ("timestamp", "moment"),
    [
        ("2025-05-04T17:37:44.706015396-07:00", datetime(2025, 5, 5, 0, 37, 44, tzinfo=UTC)),
        ("2025-05-04T17:37:44Z", datetime(2025, 5, 4, 17, 37, 44, tzinfo=UTC)),
        ("2025-05-04T17:37:44.5+02:00", datetime(2025, 5, 4, 15, 37, 44, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_with_any_fraction_and_zone(timestamp, moment):
    assert ollama.seconds(timestamp) == int(moment.timestamp())


@given(st.text(max_size=40) | st.text(max_size=9).map(lambda zone: f"2025-05-04T17:37:44{zone}"))
def test_no_time_is_too_odd_to_read(timestamp):
    assert isinstance(ollama.seconds(timestamp), int)


def test_embeddings_keep_their_digits_and_order():
    found = ollama.decode_embeddings(b'{"embeddings":[[0.10,1e-3],[2,3.0]],"prompt_eval_count":4}', 2)
    assert [bytes(vector) for vector in found.vectors] == [b"[0.10,1e-3]", b"[2,3.0]"]
    assert found.usage == UsageReported(4)


@pytest.mark.parametrize(
    "body", [b"{", b"{}", b'{"embeddings":[]}', b'{"embeddings":[[1]]}', b'{"embeddings":null}', b"\xff"]
)
def test_embeddings_that_are_not_all_there_are_the_backends_failure(body):
    with pytest.raises(BackendFailed):
        ollama.decode_embeddings(body, 2)

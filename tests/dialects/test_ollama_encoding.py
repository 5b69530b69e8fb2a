"""What Ollama's clients are told: every answer is written so that a reader of Ollama's format has it again."""

import json
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from router.canonical.events import (
    Ended,
    Event,
    Finished,
    Frame,
    LogprobsReported,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    UsageReported,
)
from router.canonical.fold import Completed, fold
from router.dialects import ollama
from router.errors import BackendFailed
from tests.dialects.streams import cut, events, frames, texts

ids = st.text(st.characters(min_codepoint=48, max_codepoint=122), min_size=1, max_size=8)
objects = st.dictionaries(texts, st.none() | st.booleans() | st.integers(-9, 9) | texts, max_size=3)
LOGPROBS = Raw(b'[{"token":"x","logprob":-0.5,"bytes":[120],"top_logprobs":[]}]')


@st.composite
def answers(draw: st.DrawFn) -> list[list[Event]]:
    """The events of a whole answer, in frames of any size."""
    said: list[Event] = [Started("", "shown", 0)]
    said += [ReasoningDelta(text) for text in draw(st.lists(texts, max_size=3))]
    said += [TextDelta(text) for text in draw(st.lists(texts, max_size=4))]
    if draw(st.booleans()):
        said.append(LogprobsReported(LOGPROBS))
    calls = draw(st.lists(ids, max_size=3, unique=True))
    for index, call_id in enumerate(calls):
        said.append(ToolCallStarted(index, call_id, draw(texts)))
        text = json.dumps(draw(objects), indent=draw(st.sampled_from([None, 1])), ensure_ascii=False)
        place = draw(st.integers(0, len(text)))
        said += [ToolCallDelta(index, text[:place]), ToolCallDelta(index, text[place:])]
    reason = draw(st.sampled_from(["tool_calls" if calls else "stop", "length"]))
    said += [Finished(reason), UsageReported(draw(st.integers(1, 999)), draw(st.integers(1, 999))), Ended()]
    batches: list[list[Event]] = []
    while said:
        size = draw(st.integers(1, 3))
        batches.append(said[:size])
        said = said[size:]
    return batches


def encoded(batches: list[list[Event]], encoder: ollama.Encoder | None = None) -> bytes:
    encoder = encoder or ollama.Encoder(model="shown")
    return b"".join(encoder.encode(batch) for batch in batches)


def decoded(stream: bytes, places: list[int] | None = None) -> list[Event]:
    return events(frames(ollama.StreamDecoder("shown"), cut(stream, places or [])))


def timeless(completed: Completed) -> Completed:
    """Without what depends on when and how it was written: the time, and white space between the values of JSON."""
    choices = [
        replace(
            choice, tool_calls=tuple(replace(call, arguments=compact(call.arguments)) for call in choice.tool_calls)
        )
        for choice in completed.choices
    ]
    return replace(completed, created=0, choices=tuple(choices))


def compact(text: str) -> str:
    return msgspec.json.format(text, indent=-1)


def folded(batches: list[list[Event]]) -> Completed:
    return fold(event for batch in batches for event in batch)


@given(answers())
def test_an_answer_survives_being_written_and_read(batches):
    assert timeless(fold(decoded(encoded(batches)))) == timeless(folded(batches))


@given(answers(), st.lists(st.floats(0, 1), max_size=12))
def test_an_answer_reads_the_same_however_it_is_cut(batches, places):
    stream = encoded(batches)
    assert decoded(stream, sorted(int(place * len(stream)) for place in places)) == decoded(stream)


@given(answers())
def test_a_whole_answer_survives_being_written_and_read(batches):
    completed = folded(batches)
    body = ollama.Encoder(model="shown").whole(completed)
    assert timeless(fold(ollama.decode_whole(body, "shown").events)) == timeless(completed)


@given(answers())
def test_a_generated_text_survives_being_written_and_read(batches):
    (choice,) = folded(batches).choices
    found = fold(decoded(encoded(batches, ollama.GenerateEncoder(model="shown"))))
    assert (found.choices[0].text, found.choices[0].reasoning) == (choice.text, choice.reasoning)
    assert found.usage == folded(batches).usage


@given(answers())
def test_every_line_is_one_object_however_a_client_cuts_lines(batches):
    lines = [json.loads(line) for line in encoded(batches).decode().splitlines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert all(line["model"] == "shown" and "error" not in line for line in lines)


@given(answers())
def test_lines_that_are_forwarded_say_what_they_said(batches):
    stream = encoded(batches)
    encoder = ollama.Encoder(model="alias")
    again = b"".join(encoder.forward(frame) for frame in frames(ollama.StreamDecoder("alias"), [stream]))
    lines = [json.loads(line) for line in again.decode().splitlines()]
    assert lines == [{**json.loads(line), "model": "alias"} for line in stream.decode().splitlines()]


@given(answers())
def test_a_chat_is_forwarded_in_the_shape_of_a_generated_text(batches):
    stream = encoded(batches)
    decoder = ollama.StreamDecoder("alias", ollama.GENERATE)
    lines = [json.loads(frame.raw) for frame in frames(decoder, [stream])]
    (choice,) = folded(batches).choices
    assert "".join(line["response"] for line in lines) == choice.text
    assert "".join(line.get("thinking", "") for line in lines) == choice.reasoning
    assert all("message" not in line for line in lines)


def test_the_last_line_tells_all_times_and_counts():
    encoder = ollama.Encoder(model="m", clock=count(0, 5).__next__)
    encoder.encode([Started(), TextDelta("Hi"), Finished("stop"), UsageReported(7, 9)])
    last = msgspec.json.decode(encoder.encode([Ended()]))
    times = {"total_duration": 10, "load_duration": 0, "prompt_eval_duration": 5, "eval_duration": 5}
    assert {**last, **times, "prompt_eval_count": 7, "eval_count": 9} == last


def test_counts_that_the_backend_left_out_are_added_to_its_own_last_line():
    line = {"model": "m", "message": {"role": "assistant", "content": "Hi"}, "done": True, "eval_duration": 4}
    (frame,) = frames(ollama.StreamDecoder("m"), [msgspec.json.encode(line) + b"\n"])
    encoder = ollama.Encoder(model="m")
    assert encoder.forward(Frame(b"", (UsageReported(3, 2, estimated=True),))) == b""
    told = encoder.forward(frame)
    assert told.endswith(b"}\n")
    assert json.loads(told) == {**line, "prompt_eval_count": 3, "eval_count": 2}


def test_calls_that_come_by_turns_are_told_whole_and_in_their_order():
    encoder = ollama.Encoder(model="m")
    begun = encoder.encode([ToolCallStarted(0, "c0", "f"), ToolCallDelta(0, "{}"), ToolCallStarted(1, "c1", "g")])
    assert [call["id"] for call in json.loads(begun)["message"]["tool_calls"]] == ["c0"]
    turns = [ToolCallDelta(1, '{"a":'), ToolCallStarted(2, "c2", "h"), ToolCallDelta(2, "{}"), ToolCallDelta(1, "1}")]
    assert encoder.encode(turns) == b""
    told = [json.loads(line) for line in encoder.encode([Finished("tool_calls")]).splitlines()]
    functions = [call["function"] for line in told for call in line["message"]["tool_calls"]]
    assert [(function["name"], function["arguments"]) for function in functions] == [("g", {"a": 1}), ("h", {})]


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", '"text"', '{"a":1} x'])
def test_a_call_whose_arguments_are_no_object_is_a_failure_as_with_ollama(arguments):
    encoder = ollama.Encoder(model="m")
    encoder.encode([Started(), ToolCallStarted(0, "c", "f"), ToolCallDelta(0, arguments)])
    with pytest.raises(BackendFailed):
        encoder.encode([Finished("tool_calls"), Ended()])

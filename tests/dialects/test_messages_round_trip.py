"""What Anthropic's clients are sent, the reader of Claude's answers reads back: for any answer, cut anywhere."""

import json
from itertools import groupby, pairwise
from typing import Any

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
    ReasoningDelta,
    ReasoningSigned,
    Refused,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    UsageReported,
)
from router.canonical.fold import Completed, fold
from router.dialects.anthropic_messages import Encoder, StreamDecoder, decode_whole
from router.errors import StreamCut
from tests.dialects.streams import cut, cuts, events, frames, texts
from tests.surfaces.messages import events_of

ids = st.text("abcXYZ019_-", min_size=1, max_size=8)
objects = st.dictionaries(texts, st.none() | texts | st.integers(), max_size=3)


@st.composite
def calls(draw: st.DrawFn, first: int) -> list[Event]:
    """Calls of tools, whose arguments come in pieces, and in any order between the calls."""
    names = draw(st.lists(ids, max_size=3, unique=True))
    pieces: list[list[Event]] = []
    for index, name in enumerate(names, first):
        arguments = json.dumps(draw(objects), ensure_ascii=False)
        parts = [part.decode() for part in cut_text(arguments, draw)]
        pieces.append(
            [ToolCallStarted(index, f"id_{index}_{name}", name), *(ToolCallDelta(index, part) for part in parts)]
        )
    if not draw(st.booleans()):
        return [event for call in pieces for event in call]
    out: list[Event] = []
    while any(pieces):
        out.append(draw(st.sampled_from([call for call in pieces if call])).pop(0))
    return out


def cut_text(text: str, draw: st.DrawFn) -> list[bytes]:
    """A text in pieces of whole letters."""
    letters = [letter.encode() for letter in text]
    places = draw(cuts(len(letters)))
    edges = [0, *places, len(letters)]
    return [b"".join(letters[start:end]) for start, end in pairwise(edges) if start < end]


@st.composite
def reasoning(draw: st.DrawFn) -> list[Event]:
    """Thoughts that are signed or hidden, and then some of a model that does not sign."""
    out: list[Event] = []
    for pieces in draw(st.lists(st.none() | st.lists(texts, max_size=2), max_size=2)):
        if pieces is None:
            out.append(ReasoningSigned(Raw(b'{"type":"redacted_thinking","data":"d=="}')))
            continue
        out += [ReasoningDelta(piece) for piece in pieces]
        block = {"type": "thinking", "thinking": "".join(pieces), "signature": draw(ids)}
        out.append(ReasoningSigned(Raw(msgspec.json.encode(block))))
    return out + [ReasoningDelta(piece) for piece in draw(st.lists(texts, max_size=2))]


@st.composite
def answers(draw: st.DrawFn) -> list[list[Event]]:
    """The events of a whole answer, one batch for each frame; calls may come before the text ends."""
    content = draw(reasoning()) + [TextDelta(text) for text in draw(st.lists(texts, max_size=4))] + draw(calls(0))
    called = sum(isinstance(event, ToolCallStarted) for event in content)
    content += [TextDelta(text) for text in draw(st.lists(texts, max_size=2))] + draw(calls(called))
    batches: list[list[Event]] = [[Started("x", "shown", 1)]]
    while content:
        size = draw(st.integers(1, 4))
        batches.append(content[:size])
        content = content[size:]
    has_calls = any(isinstance(event, ToolCallStarted) for batch in batches for event in batch)
    batches.append([Finished("tool_calls" if has_calls else draw(st.sampled_from(["stop", "length"])))])
    prompt, cached = draw(st.integers(0, 999)), draw(st.integers(0, 99))
    batches.append([UsageReported(prompt + cached, draw(st.integers(0, 999)), cached, 0, 0)])
    return [*batches, [Ended()]]


def encoded(batches: list[list[Event]]) -> bytes:
    encoder = Encoder(model="shown")
    return b"".join(encoder.encode(batch) for batch in batches)


def decoded(stream: bytes, places: list[int] | None = None) -> list[Event]:
    return events(frames(StreamDecoder("shown"), cut(stream, places or [])))


def comparable(answer: Completed) -> Any:
    """Without ids and times, which each format has of its own; a call with arguments as the object they are."""
    choice = answer.choices[0]
    called = sorted((call.id, call.name, json.dumps(json.loads(call.arguments))) for call in choice.tool_calls)
    return replace(answer, id="", created=0, choices=(replace(choice, tool_calls=()),)), called


def folded(batches: list[list[Event]]) -> Completed:
    return fold(event for batch in batches for event in batch)


@given(answers())
def test_an_answer_survives_being_written_and_read(batches):
    assert comparable(fold(decoded(encoded(batches)))) == comparable(folded(batches))


@given(answers(), st.data())
def test_an_answer_reads_the_same_however_it_is_cut(batches, data):
    stream = encoded(batches)
    assert decoded(stream, data.draw(cuts(len(stream)))) == decoded(stream)


@given(answers())
def test_a_whole_answer_survives_being_written_and_read(batches):
    completed = folded(batches)
    choice = completed.choices[0]
    if choice.reasoning_blocks:
        told = [json.loads(bytes(block)) for block in choice.reasoning_blocks]
        choice = replace(choice, reasoning="".join(block.get("thinking", "") for block in told))
        completed = replace(completed, choices=(choice,))
    body = Encoder(model="shown").whole(completed)
    assert comparable(fold(decode_whole(body, "shown").events)) == comparable(completed)


@given(answers())
def test_blocks_follow_one_another_and_are_numbered(batches):
    told = [event for event in events_of(encoded(batches)) if event["type"].startswith("content_block_")]
    by_block = [list(group) for _, group in groupby(told, key=lambda event: event["index"])]
    assert [group[0]["index"] for group in by_block] == list(range(len(by_block)))
    for group in by_block:
        kinds = [event["type"] for event in group]
        inner = len(kinds) - 2
        assert kinds == ["content_block_start", *["content_block_delta"] * inner, "content_block_stop"]


@given(answers())
def test_a_stream_has_one_beginning_and_one_end(batches):
    kinds = [event["type"] for event in events_of(encoded(batches))]
    assert kinds[:2] == ["message_start", "ping"]
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert [kinds.count(kind) for kind in ("message_start", "message_delta", "message_stop")] == [1, 1, 1]


@given(answers(), st.data())
def test_a_stream_that_ends_early_is_never_taken_for_whole(batches, data):
    stream = encoded(batches)
    stream = stream[: stream.index(b"event: message_stop")]
    with pytest.raises(StreamCut):
        frames(StreamDecoder("shown"), cut(stream, data.draw(cuts(len(stream)))))


@given(texts)
def test_a_frame_of_one_text_is_the_event_that_any_frame_would_make(text):
    encoder = Encoder(model="shown")
    encoder.encode([Started(), TextDelta("first")])
    (event,) = events_of(encoder.encode([TextDelta(text)]))
    delta = {"type": "text_delta", "text": text}
    assert event == {"type": "content_block_delta", "index": 0, "delta": delta}


def test_a_refusal_is_told_with_its_reason():
    stream = encoded([[Started(), TextDelta("Well"), Refused("Not allowed."), Finished("content_filter"), Ended()]])
    assert fold(decoded(stream)).choices[0].refusal == "Not allowed."


def test_a_call_is_the_reason_to_stop_also_where_the_server_says_otherwise():
    call: list[Event] = [ToolCallStarted(0, "a", "f"), ToolCallDelta(0, "{}")]
    *_, delta, _ = events_of(encoded([[Started(), *call, Finished("stop"), Ended()]]))
    assert delta["delta"]["stop_reason"] == "tool_use"


def test_an_id_that_no_client_would_accept_becomes_one_that_stays_the_same():
    stream = encoded([[Started(), ToolCallStarted(0, "call:1/x", "f"), Finished("tool_calls"), Ended()]])
    first, second = (next(e for e in decoded(s) if isinstance(e, ToolCallStarted)).id for s in (stream, stream))
    assert first == second
    assert set(first) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")


def test_arguments_that_are_no_object_are_none_in_a_whole_answer():
    completed = fold([Started(), ToolCallStarted(0, "a", "f"), ToolCallDelta(0, "[1"), Finished("tool_calls")])
    assert json.loads(Encoder(model="m").whole(completed))["content"][0]["input"] == {}

"""What an encoder writes, a decoder reads back: for any answer, cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from router.canonical.events import (
    Ended,
    Event,
    Finished,
    LogprobsReported,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    UsageReported,
)
from router.canonical.fold import Completed, fold
from router.dialects import openai_chat
from router.errors import StreamBroken
from tests.dialects.streams import cut, cuts, events, frames, payloads, texts

counts = st.none() | st.integers(0, 10_000)
ids = st.text(st.characters(min_codepoint=48, max_codepoint=122), min_size=1, max_size=8)
arguments = st.lists(texts, max_size=4)


@st.composite
def said(draw: st.DrawFn, choice: int) -> list[Event]:
    """What one choice says before it is finished, in the order in which models say it."""
    out: list[Event] = [ReasoningDelta(text, choice) for text in draw(st.lists(texts, max_size=3))]
    out += [TextDelta(text, choice) for text in draw(st.lists(texts, max_size=4))]
    for index, call_id in enumerate(draw(st.lists(ids, max_size=3, unique=True))):
        out.append(ToolCallStarted(index, call_id, draw(texts), choice))
        out += [ToolCallDelta(index, piece, choice) for piece in draw(arguments)]
    if draw(st.booleans()):
        out.append(LogprobsReported(Raw(b'[{"token":"x","logprob":-0.5}]'), choice))
    return out


@st.composite
def answers(draw: st.DrawFn) -> list[list[Event]]:
    """The events of a whole answer, one batch for each frame; the choices take turns."""
    start = Started(draw(ids), "shown", draw(st.integers(1, 2**33)))
    choices = [draw(said(choice)) for choice in range(draw(st.integers(1, 3)))]
    batches: list[list[Event]] = [[start]]
    while any(choices):
        turn = draw(st.sampled_from([choice for choice in choices if choice]))
        batches.append([turn.pop(0) for _ in range(min(len(turn), draw(st.integers(1, 3))))])
    reasons = st.sampled_from(["stop", "length", "tool_calls", "content_filter"])
    batches += [[Finished(draw(reasons), choice)] for choice in range(len(choices))]
    if draw(st.booleans()):
        batches.append(
            [UsageReported(draw(st.integers(0, 999)), draw(st.integers(0, 999)), draw(counts), draw(counts))]
        )
    return [*batches, [Ended()]]


def encoded(batches: list[list[Event]]) -> bytes:
    encoder = openai_chat.Encoder(model="shown", include_usage=True)
    return b"".join(encoder.encode(batch) for batch in batches)


def decoded(stream: bytes, places: list[int] | None = None) -> list[Event]:
    return events(frames(openai_chat.StreamDecoder("shown"), cut(stream, places or [])))


def folded(batches: list[list[Event]]) -> Completed:
    return fold(event for batch in batches for event in batch)


@given(answers())
def test_an_answer_survives_being_written_and_read(batches):
    assert fold(decoded(encoded(batches))) == folded(batches)


@given(answers(), st.data())
def test_an_answer_reads_the_same_however_it_is_cut(batches, data):
    stream = encoded(batches)
    assert decoded(stream, data.draw(cuts(len(stream)))) == decoded(stream)


@given(answers())
def test_a_whole_answer_survives_being_written_and_read(batches):
    completed = folded(batches)
    body = openai_chat.Encoder(model="shown", include_usage=True).whole(completed)
    assert fold(openai_chat.decode_whole(body, "shown").events) == completed


@given(answers())
def test_every_choice_opens_with_its_role_once(batches):
    roles = [
        choice["index"]
        for chunk in payloads(encoded(batches))[:-1]
        for choice in chunk["choices"]
        if choice["delta"].get("role") == "assistant"
    ]
    assert sorted(roles) == list(range(len(folded(batches).choices)))


@given(answers())
def test_every_chunk_carries_the_same_id_and_the_name_that_was_asked_for(batches):
    chunks = payloads(encoded(batches))[:-1]
    assert {(chunk["id"], chunk["model"]) for chunk in chunks} == {(folded(batches).id, "shown")}


@given(answers())
def test_usage_is_sent_once_and_last_or_not_at_all(batches):
    *chunks, end = payloads(encoded(batches))
    assert end == "[DONE]"
    assert [at for at, chunk in enumerate(chunks) if "usage" in chunk] in ([], [len(chunks) - 1])


@given(answers())
def test_usage_is_never_sent_to_a_client_that_did_not_ask(batches):
    encoder = openai_chat.Encoder(model="shown", include_usage=False)
    *chunks, _ = payloads(b"".join(encoder.encode(batch) for batch in batches))
    assert not [chunk for chunk in chunks if "usage" in chunk]


@given(answers(), st.data())
def test_a_stream_that_ends_early_is_never_taken_for_whole(batches, data):
    stream = encoded(batches).removesuffix(b"data: [DONE]\n\n")
    decoder = openai_chat.StreamDecoder("shown", strict_end=True)
    with pytest.raises(StreamBroken):
        frames(decoder, cut(stream, data.draw(cuts(len(stream)))))


@given(texts)
def test_a_frame_of_one_text_is_the_chunk_that_any_frame_would_make(text):
    encoder = openai_chat.Encoder(model="shown", include_usage=False)
    encoder.encode([Started("c1", "shown", 5), TextDelta("first")])
    (chunk,) = payloads(encoder.encode([TextDelta(text)]))
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    assert chunk == {
        "id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "shown", "choices": [choice]
    }  # fmt: skip

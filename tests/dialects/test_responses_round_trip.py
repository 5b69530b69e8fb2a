"""Any answer, written for a client of the Responses API, read back by one, and sent back with the next question."""

import json

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
from router.dialects import openai_responses
from router.dialects.openai_responses.sealed import sealed, unsealed
from router.errors import StreamBroken
from tests.dialects.responses_reading import events_of, meaning, parsed, read
from tests.dialects.streams import texts

ids = st.text(st.characters(min_codepoint=48, max_codepoint=122), min_size=1, max_size=8)
blocks = st.builds(
    lambda gap, text: Raw(b'{"type":%b"thinking","signature":%b}' % (gap, json.dumps(text).encode())),
    st.sampled_from([b"", b" ", b"\t "]),
    texts,
)


@st.composite
def thoughts(draw: st.DrawFn) -> list[Event]:
    events: list[Event] = [ReasoningDelta(text) for text in draw(st.lists(texts, max_size=3))]
    return [*events, *(ReasoningSigned(block) for block in draw(st.lists(blocks, max_size=2)))]


@st.composite
def calls(draw: st.DrawFn, start: int) -> list[Event]:
    """Some calls at once, whose arguments come by turns, with text between them."""
    count = draw(st.integers(1, 3))
    events: list[Event] = [ToolCallStarted(start + at, f"call{start + at}", draw(ids)) for at in range(count)]
    for text in draw(st.lists(texts, max_size=5)):
        pieces: list[Event] = [ToolCallDelta(start + draw(st.integers(0, count - 1)), text), TextDelta(text)]
        events.append(draw(st.sampled_from(pieces)))
    return events


@st.composite
def answers(draw: st.DrawFn) -> list[list[Event]]:
    """The events of a whole answer in any order that a model could say them in, one batch for each frame."""
    events: list[Event] = [Started("c1", "wire-name", 7)]
    called = 0
    for kind in draw(st.lists(st.sampled_from(["thoughts", "text", "calls"]), max_size=5)):
        if kind == "calls":
            events += (more := draw(calls(called)))
            called += sum(isinstance(event, ToolCallStarted) for event in more)
        else:
            events += draw(thoughts() if kind == "thoughts" else st.lists(st.builds(TextDelta, texts), max_size=3))
    events += [Refused(text) for text in draw(st.lists(texts, max_size=2))]
    events.append(Finished(draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))))
    events.append(UsageReported(draw(st.integers(0, 999)), draw(st.integers(0, 999))))
    batches: list[list[Event]] = [[]]
    for event in [*events, Ended()]:
        batches[-1].append(event)
        if draw(st.booleans()):
            batches.append([])
    return batches


def encoded(batches: list[list[Event]]) -> bytes:
    encoder = openai_responses.Encoder(parsed())
    return b"".join(encoder.encode(batch) for batch in batches)


def folded(batches: list[list[Event]]) -> Completed:
    return fold(event for batch in batches for event in batch)


def same(completed: Completed) -> Completed:
    """Without what this format has no place for: the backend's ids, and stopping for a tool or for no more to say."""
    choices = [
        replace(choice, finish_reason="stop" if choice.finish_reason == "tool_calls" else choice.finish_reason,
                logprobs=None, index=0)
        for choice in completed.choices
    ]  # fmt: skip
    return Completed(choices=tuple(choices))


@given(answers())
def test_an_answer_survives_being_written_and_read(batches):
    assert same(fold(meaning(read(encoded(batches)).response))) == same(folded(batches))


@given(answers())
def test_a_whole_answer_survives_being_written_and_read(batches):
    completed = folded(batches)
    response = json.loads(openai_responses.Encoder(parsed()).whole(completed))
    assert same(fold(meaning(response))) == same(completed)
    assert response["usage"]["total_tokens"] == completed.usage.prompt + completed.usage.completion


@given(answers())
def test_what_was_said_comes_back_with_the_next_question(batches):
    output = read(encoded(batches)).response["output"]
    asked = parsed(input=[{"role": "user", "content": "hi"}, *output, {"role": "user", "content": "go on"}])
    first, *turns, last = asked.chat.messages
    (choice,) = same(folded(batches)).choices
    assert (first.role, last.role, {turn.role for turn in turns}) == ("user", "user", {"assistant"} if turns else set())
    assert [call for turn in turns for call in turn.tool_calls if not call.name] == []
    if choice.refusal is None:
        assert "".join(part.text for turn in turns for part in turn.parts) == choice.text
        told = [(call.id, call.name, call.arguments) for turn in turns for call in turn.tool_calls]
        assert told == [(call.id, call.name, call.arguments) for call in choice.tool_calls]


@given(answers())
def test_signed_reasoning_that_led_to_something_comes_back_byte_for_byte(batches):
    events = [event for batch in batches for event in batch]
    first_call = next((at for at, event in enumerate(events) if isinstance(event, ToolCallStarted)), len(events))
    leads = [at for at, event in enumerate(events) if isinstance(event, ToolCallStarted)]
    leads += [at for at, event in enumerate(events[:first_call]) if isinstance(event, (TextDelta, Refused))]
    last = max(leads, default=0)
    output = read(encoded(batches)).response["output"]
    turns = parsed(input=[{"role": "user", "content": "hi"}, *output]).chat.messages[1:]
    back = [block for turn in turns for place in (turn, *turn.tool_calls) for block in place.reasoning_blocks]
    assert back == [event.block for event in events[:last] if isinstance(event, ReasoningSigned)]


@given(answers())
def test_an_answer_that_breaks_off_is_failed_and_not_kept(batches):
    kept: list[str] = []
    encoder = openai_responses.Encoder(parsed(), lambda response_id, _: kept.append(response_id))
    stream = b"".join(encoder.encode([event for event in batch if type(event) is not Ended]) for batch in batches)
    ends = [event["type"] for event in events_of(stream + encoder.error(StreamBroken("gone")))][-2:]
    assert (ends, kept) == (["error", "response.failed"], [])


@given(st.lists(blocks, max_size=4))
def test_sealed_blocks_are_the_same_bytes_when_opened(found):
    assert unsealed(sealed(found)) == tuple(found)


@given(st.text())
def test_what_others_have_sealed_says_nothing(text):
    assert unsealed(text) == ()
    assert isinstance(unsealed("turnout1." + text), tuple)

"""Any answer, in each of the formats that clients are told it in: what is written is read back, whatever was said.

A dialect that is added gets a row in FORMATS.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from router.canonical.events import (
    Ended,
    Event,
    Finished,
    Frame,
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
from router.dialects import (
    Decoder,
    Encoder,
    anthropic_messages,
    ollama,
    openai_chat,
    openai_completions,
    openai_responses,
)
from router.errors import RouterError, StreamBroken
from tests.dialects.responses_reading import parsed
from tests.dialects.streams import cut, events, frames, texts


@dataclass(frozen=True)
class Format:
    """How a dialect is written and read.

    `text_alone` has no place for thoughts, calls and refusals, `plain` none for signatures; a refusal is text in both.
    """

    encoder: Callable[[], Encoder]
    decoder: Callable[[], Decoder]
    whole: Callable[[bytes], Frame]
    text_alone: bool = False
    plain: bool = False


FORMATS = {
    "chat": Format(
        lambda: openai_chat.Encoder(model="shown", include_usage=True),
        lambda: openai_chat.StreamDecoder("shown", strict_end=True),
        lambda body: openai_chat.decode_whole(body, "shown"),
    ),
    "completions": Format(
        lambda: openai_completions.Encoder(model="shown", include_usage=True),
        lambda: openai_completions.StreamDecoder("shown", strict_end=True),
        lambda body: openai_completions.decode_whole(body, "shown"),
        text_alone=True,
    ),
    "messages": Format(
        lambda: anthropic_messages.Encoder(model="shown"),
        lambda: anthropic_messages.StreamDecoder("shown"),
        lambda body: anthropic_messages.decode_whole(body, "shown"),
    ),
    "ollama": Format(
        lambda: ollama.Encoder(model="shown"),
        lambda: ollama.StreamDecoder("shown"),
        lambda body: ollama.decode_whole(body, "shown"),
        plain=True,
    ),
    "responses": Format(
        lambda: openai_responses.Encoder(parsed()),
        lambda: openai_responses.StreamDecoder("shown"),
        lambda body: openai_responses.decode_whole(body, "shown"),
    ),
}

names = st.text("abcXYZ019_-", min_size=1, max_size=8)
objects = st.dictionaries(texts, st.none() | texts | st.integers(-(2**40), 2**40), max_size=3)
formats = pytest.mark.parametrize("name", FORMATS)


@st.composite
def thoughts(draw: st.DrawFn, *, signs: bool) -> list[Event]:
    """Thoughts of a model that signs them at their end, or keeps them from the client; or of one that never does."""
    kind = draw(st.sampled_from(["signed", "hidden"])) if signs else "bare"
    if kind == "hidden":
        return [ReasoningSigned(Raw(b'{"type":"redacted_thinking","data":"d=="}'))]
    pieces = draw(st.lists(texts, min_size=1, max_size=3))
    told: list[Event] = [ReasoningDelta(piece) for piece in pieces]
    if kind == "signed":
        block = {"type": "thinking", "thinking": "".join(pieces), "signature": draw(names)}
        told.append(ReasoningSigned(Raw(msgspec.json.encode(block))))
    return told


@st.composite
def calls(draw: st.DrawFn, first: int) -> list[Event]:
    """Calls at once, whose arguments come in pieces and by turns."""
    turns: list[list[Event]] = []
    for index in range(first, first + draw(st.integers(1, 3))):
        written = json.dumps(draw(objects), ensure_ascii=False)
        places = sorted(draw(st.lists(st.integers(0, len(written)), max_size=3)))
        edges = [0, *places, len(written)]
        pieces = [written[start:end] for start, end in pairwise(edges) if start < end]
        begun = ToolCallStarted(index, f"call_{index}", draw(names))
        turns.append([begun, *(ToolCallDelta(index, piece) for piece in pieces)])
    told: list[Event] = []
    while any(turns):
        told.append(draw(st.sampled_from([turn for turn in turns if turn])).pop(0))
    return told


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """A whole answer: thoughts, text and calls in any order, or a refusal."""
    told: list[Event] = []
    called, signs = 0, draw(st.booleans())
    for kind in draw(st.lists(st.sampled_from(["thoughts", "text", "calls"]), max_size=5)):
        if kind == "calls":
            more = draw(calls(called))
            called += sum(isinstance(event, ToolCallStarted) for event in more)
            told += more
        else:
            told += draw(
                thoughts(signs=signs) if kind == "thoughts" else st.lists(st.builds(TextDelta, texts), max_size=3)
            )
    if not called and draw(st.booleans()):
        told += [Refused(text) for text in draw(st.lists(texts, min_size=1, max_size=2))]
        told.append(Finished("content_filter"))
    else:
        told.append(Finished("tool_calls" if called else draw(st.sampled_from(["stop", "length"]))))
    cached = draw(st.integers(0, 99))
    usage = UsageReported(draw(st.integers(0, 999)) + cached, draw(st.integers(0, 999)), cached)
    return [Started("c1", "shown", 7), *told, usage, Ended()]


@st.composite
def batched(draw: st.DrawFn, told: list[Event]) -> list[list[Event]]:
    """The events as they may come together in frames."""
    batches: list[list[Event]] = [[]]
    for event in told:
        batches[-1].append(event)
        if draw(st.booleans()):
            batches.append([])
    return [batch for batch in batches if batch]


def meaning(told: Iterable[Event], *, text_alone: bool) -> Any:
    """What an answer says that no format may lose, but one that has no place for it."""
    completed = fold(told)
    (choice,) = completed.choices
    usage = completed.usage
    counts = None if usage is None else (usage.prompt, usage.completion)
    if text_alone:
        return choice.text, counts, choice.finish_reason
    arguments = [(call.id, call.name, json.loads(call.arguments)) for call in choice.tool_calls]
    blocks = [json.loads(bytes(block)) for block in choice.reasoning_blocks]
    said = (choice.text, choice.refusal, choice.reasoning, blocks)
    return said, sorted(arguments, key=lambda call: call[0]), counts, choice.finish_reason


def told_in(form: Format, told: Iterable[Event]) -> list[Event]:
    """What is left of an answer that a format has no place for all of."""
    lost: tuple[type[Event], ...] = ()
    if form.text_alone:
        lost = (ToolCallStarted, ToolCallDelta)
    elif form.plain:
        lost = (ReasoningSigned,)
    else:
        return list(told)
    kept = [TextDelta(event.text) if isinstance(event, Refused) else event for event in told]
    unknown = Finished("tool_calls" if form.text_alone else "content_filter")
    return [Finished("stop") if event == unknown else event for event in kept if not isinstance(event, lost)]


def expected(told: Iterable[Event], form: Format) -> Any:
    return meaning(told_in(form, told), text_alone=form.text_alone)


def written(form: Format, batches: list[list[Event]]) -> bytes:
    encoder = form.encoder()
    return b"".join(encoder.encode(batch) for batch in batches)


@formats
@given(answers(), st.data(), st.lists(st.floats(0, 1), max_size=12))
def test_every_answer_is_written_and_read_back_however_it_is_cut(name, told, data, places):
    form = FORMATS[name]
    stream = written(form, data.draw(batched(told)))
    read = events(frames(form.decoder(), cut(stream, sorted(int(place * len(stream)) for place in places))))
    assert meaning(read, text_alone=form.text_alone) == expected(told, form)


@formats
@given(answers())
def test_every_whole_answer_is_written_and_read_back(name, told):
    form = FORMATS[name]
    completed: Completed = fold(told)
    read = form.whole(form.encoder().whole(completed)).events
    if (form.text_alone or form.plain) and completed.choices[0].refusal is not None:
        assert fold(read).choices[0].text == completed.choices[0].refusal
    else:
        assert _without_order(read, form) == _without_order(told, form)


def _without_order(told: Iterable[Event], form: Format) -> Any:
    """A whole message of Anthropic's has no place for thoughts that nobody signed beside others that are."""
    seen = expected(list(told), form)
    blocks = None if form.text_alone else seen[0][3]
    if not blocks:
        return seen
    (text, refusal, _, blocks), *rest = seen
    return (text, refusal, blocks), *rest


@formats
@given(answers(), st.data())
def test_an_answer_that_breaks_off_anywhere_is_never_read_as_whole(name, told, data):
    form = FORMATS[name]
    encoder = form.encoder()
    part = told[: data.draw(st.integers(0, len(told) - 1))]
    stream = b"".join(encoder.encode(batch) for batch in data.draw(batched(part)))
    for tail in (b"", encoder.error(StreamBroken("the backend went away"))):
        decoder = form.decoder()
        assert _failure(decoder, stream + tail) is not None
        assert not decoder.ended


def _failure(decoder: Decoder, stream: bytes) -> RouterError | None:
    try:
        frames(decoder, [stream])
    except RouterError as error:
        return error
    return decoder.failure


@pytest.mark.parametrize(
    ("first", "second"),
    [pair for pair in product(FORMATS, repeat=2) if not any(FORMATS[name].text_alone for name in pair)],
)
@given(answers(), st.data())
def test_what_was_read_in_one_format_is_told_in_another(first, second, told, data):
    """As through two routers, one behind the other."""
    stream = written(FORMATS[first], data.draw(batched(told)))
    batches = [list(frame.events) for frame in frames(FORMATS[first].decoder(), [stream])]
    again = events(frames(FORMATS[second].decoder(), [written(FORMATS[second], batches)]))
    assert meaning(again, text_alone=False) == expected(told_in(FORMATS[first], told), FORMATS[second])

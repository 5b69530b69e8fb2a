"""Byte streams become the same frames however the network cuts them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dialects import ndjson, sse
from router.errors import StreamBroken
from tests.dialects.streams import AWKWARD, cut, cuts, texts

values = st.recursive(st.none() | st.integers() | texts, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
lines = st.lists(values.map(msgspec.json.encode), max_size=6)


def cut_lines(reads: list[bytes]) -> list[bytes]:
    cutter = ndjson.Cutter()
    return [*(line for data in reads for line in cutter.feed(data)), *cutter.finish()]


def cut_events(reads: list[bytes]) -> list[bytes]:
    cutter = sse.Cutter()
    return [*(event for data in reads for event in cutter.feed(data)), *cutter.finish()]


@given(lines, st.data())
def test_lines_come_out_whole_wherever_they_are_cut(lines, data):
    stream = b"".join(line + b"\n" for line in lines)
    assert cut_lines(cut(stream, data.draw(cuts(len(stream))))) == lines


@given(lines, st.data())
def test_a_last_line_without_line_feed_counts(lines, data):
    stream = b"\n".join(lines)
    assert cut_lines(cut(stream, data.draw(cuts(len(stream))))) == lines


@given(lines, st.data())
def test_blank_lines_and_carriage_returns_between_lines_are_no_lines(lines, data):
    stream = b"".join(line + b"\r\n \n\n" for line in lines)
    found = cut_lines(cut(stream, data.draw(cuts(len(stream)))))
    assert [line.strip() for line in found] == lines


@given(lines, st.sampled_from([b"\n", b"\r\n"]), st.data())
def test_events_come_out_whole_wherever_they_are_cut(lines, newline, data):
    stream = b"".join(b"data: " + line + newline * 2 for line in lines)
    found = cut_events(cut(stream, data.draw(cuts(len(stream)))))
    assert [sse.payload(event) for event in found] == lines


@given(lines, st.data())
def test_comments_between_events_carry_nothing(lines, data):
    stream = b": ping\n\n" + b"".join(b"data: " + line + b"\n\n:\n\n" for line in lines)
    found = [sse.payload(event) for event in cut_events(cut(stream, data.draw(cuts(len(stream)))))]
    assert [text for text in found if text is not None] == lines


@given(texts.filter(lambda text: "\n" not in text and "\r" not in text))
def test_unicode_line_ends_are_text(text):
    assert cut_events([b"data: " + text.encode() + b"\n\n"]) == [b"data: " + text.encode()]
    assert AWKWARD.count("\u0085") == 1


@pytest.mark.parametrize(
    ("event", "carried"),
    [
        (b"data: x", b"x"),
        (b"data:x", b"x"),
        (b"data:  x", b" x"),
        (b"event: message\ndata: x", b"x"),
        (b"data: x\nid: 3\nretry: 10", b"x"),
        (b"data: a\ndata: b", b"a\nb"),
        (b": ping", None),
        (b":", None),
        (b"event: ping", None),
    ],
)
def test_the_payload_of_an_event_is_its_data_lines(event, carried):
    assert sse.payload(event) == carried


@pytest.mark.parametrize("cutter", [ndjson.Cutter(), sse.Cutter()], ids=["lines", "events"])
def test_a_frame_without_end_is_given_up(cutter, monkeypatch):
    monkeypatch.setattr(ndjson, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    with pytest.raises(StreamBroken):
        for _ in range(11):
            cutter.feed(b"x" * 10)

"""Claude's answers, streamed and whole, as events."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.canonical.events import (
    Ended,
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
from router.canonical.fold import fold
from router.dialects import openai_chat
from router.dialects.anthropic_messages import StreamDecoder, decode_models, decode_whole
from router.dialects.anthropic_messages.fences import Fences
from router.errors import BackendFailed, BackendOverloaded, RateLimited, StreamBroken, StreamCut
from tests.dialects.streams import cut, cuts, events, frames, payloads

START = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}}}
STOP = {"type": "message_stop"}


def stream(*records: Any) -> bytes:
    return b"".join(
        record if isinstance(record, bytes) else f"event: {record['type']}\ndata: {json.dumps(record)}\n\n".encode()
        for record in records
    )


def block(block: Any, *deltas: Any, index: int = 0) -> list[Any]:
    pieces = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    start = {"type": "content_block_start", "index": index, "content_block": block}
    return [start, *pieces, {"type": "content_block_stop", "index": index}]


def text(*pieces: str, index: int = 0) -> list[Any]:
    return block({"type": "text", "text": ""}, *({"type": "text_delta", "text": one} for one in pieces), index=index)


def tool(name: str, *pieces: str, index: int = 0, **more: Any) -> list[Any]:
    start = {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": {}, **more}
    return block(start, *({"type": "input_json_delta", "partial_json": one} for one in pieces), index=index)


def delta(stop_reason: str | None, usage: Any = None, **more: Any) -> Any:
    return {"type": "message_delta", "delta": {"stop_reason": stop_reason, **more}, "usage": usage}


def read(data: bytes, **options: Any) -> list[Any]:
    return events(frames(StreamDecoder("shown", **options), [data]))


WHOLE_STREAM = stream(
    START,
    *block({"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": "Hm 😀"},
           {"type": "signature_delta", "signature": "SIG"}),
    *text("Let ", "me\u2028see.", index=1),
    {"type": "ping"},
    *tool("f", "", '{"a":', " 1}", index=2),
    *tool("g", index=3),
    delta("tool_use", {"output_tokens": 20}),
    STOP,
)  # fmt: skip


@given(st.data())
def test_a_stream_reads_the_same_however_it_is_cut(data):
    places = data.draw(cuts(len(WHOLE_STREAM)))
    assert events(frames(StreamDecoder("shown"), cut(WHOLE_STREAM, places))) == read(WHOLE_STREAM)


@given(st.integers(0, len(WHOLE_STREAM) - len(stream(STOP))))
def test_a_stream_that_ends_early_is_never_taken_for_whole(size):
    decoder = StreamDecoder("shown")
    try:
        frames(decoder, [WHOLE_STREAM[:size]])
    except StreamCut:
        return
    assert decoder.failure
    assert not decoder.ended


def test_calls_are_numbered_by_themselves_and_one_without_arguments_has_none():
    found = read(WHOLE_STREAM)
    assert [(event.index, event.id) for event in found if isinstance(event, ToolCallStarted)] == [
        (0, "toolu_f"),
        (1, "toolu_g"),
    ]
    assert [event for event in found if isinstance(event, ToolCallDelta)] == [
        ToolCallDelta(0, '{"a":'),
        ToolCallDelta(0, " 1}"),
        ToolCallDelta(1, "{}"),
    ]


def test_arguments_that_come_with_the_call_are_its_arguments():
    found = read(stream(START, *tool("f", input={"x": "é"}), delta("tool_use"), STOP))
    assert ToolCallDelta(0, '{"x":"é"}') in found


def test_a_whole_answer_says_the_same_as_its_stream():
    content = [
        {"type": "thinking", "thinking": "Hm 😀", "signature": "SIG"},
        {"type": "text", "text": "Let me\u2028see."},
        {"type": "tool_use", "id": "toolu_f", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "toolu_g", "name": "g", "input": {}},
    ]
    usage = {"input_tokens": 3, "output_tokens": 20}
    body = {"type": "message", "model": "m", "content": content, "stop_reason": "tool_use", "usage": usage}
    whole, streamed = (fold(found) for found in (decode_whole(json.dumps(body).encode(), "shown").events,
                                                 read(WHOLE_STREAM)))  # fmt: skip
    (one,), (other,) = whole.choices, streamed.choices
    assert (one.text, one.reasoning, one.finish_reason) == (other.text, other.reasoning, other.finish_reason)
    assert one.reasoning_blocks == other.reasoning_blocks
    assert [json.loads(call.arguments) for call in one.tool_calls] == [
        json.loads(call.arguments) for call in other.tool_calls
    ]
    assert whole.usage == streamed.usage == UsageReported(3, 20, 0, 0, 0)


def test_later_counts_replace_earlier_ones_and_the_cache_is_part_of_the_prompt():
    start = {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": None, "output_tokens": 1}
    found = read(
        stream(
            {"type": "message_start", "message": {"usage": start}},
            delta(None, {"output_tokens": 7}),
            delta("end_turn", {"input_tokens": 11, "output_tokens": 9, "cache_creation_input_tokens": 2}),
            STOP,
        )
    )
    assert [event for event in found if isinstance(event, UsageReported)][-1] == UsageReported(18, 9, 5, 0, 2)
    assert len([event for event in found if isinstance(event, Finished)]) == 1


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("tool_use", "tool_calls"),
     ("model_context_window_exceeded", "length"), ("pause_turn", "stop"), ("brand_new", "stop"), (None, "stop")],
)  # fmt: skip
def test_every_stop_reason_is_a_finish_reason(reason, finish):
    assert Finished(finish) in read(stream(START, delta(reason), STOP))


def test_a_refusal_without_a_reason_is_one_all_the_same():
    found = read(stream(START, *text("Sure, "), delta("refusal"), STOP))
    (refusal,) = [event for event in found if isinstance(event, Refused)]
    assert refusal.text
    (choice,) = fold(found).choices
    assert (choice.text, choice.refusal, choice.finish_reason) == ("", refusal.text, "content_filter")


def test_reasoning_that_is_not_shown_is_signed_all_the_same():
    found = read(stream(START, *block({"type": "thinking", "thinking": "", "signature": ""},
                                      {"type": "signature_delta", "signature": "S"}), STOP))  # fmt: skip
    assert [json.loads(bytes(event.block)) for event in found if isinstance(event, ReasoningSigned)] == [
        {"type": "thinking", "thinking": "", "signature": "S"}
    ]
    assert not [event for event in found if isinstance(event, ReasoningDelta)]


def test_reasoning_without_a_signature_is_only_shown():
    thinking = block({"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "x"})
    found = read(stream(START, *thinking, STOP))
    assert ReasoningDelta("x") in found
    assert not [event for event in found if isinstance(event, ReasoningSigned)]


def test_what_nobody_knows_is_passed_over():
    found = read(
        stream(
            START,
            {"type": "brand_new", "data": 1},
            *block({"type": "server_tool_use", "id": "s", "name": "x"}, {"type": "brand_new_delta", "x": 1}),
            *block({"type": "fallback"}),
            *block({"type": "text", "text": ""}, {"type": "citations_delta", "citation": {}}),
            {"type": "content_block_delta", "index": "odd", "delta": 3},
            b": comment\n\n",
            b"data: [DONE]\n\n",
            *text("said"),
            STOP,
        )
    )
    assert found == [Started(model="shown"), UsageReported(3, 1, 0, 0, 0), TextDelta("said"), Finished("stop"), Ended()]


@pytest.mark.parametrize(
    ("kind", "error"),
    [("overloaded_error", BackendOverloaded), ("rate_limit_error", RateLimited), ("api_error", StreamBroken)],
)
def test_an_error_ends_the_stream_after_what_was_said(kind, error):
    decoder = StreamDecoder("shown")
    failed = {"type": "error", "error": {"type": kind, "message": "oh"}}
    found = events(frames(decoder, [stream(START, *text("par"), failed, STOP)]))
    assert TextDelta("par") in found
    assert type(decoder.failure) is error
    assert not decoder.ended


def test_a_piece_that_is_not_json_breaks_the_stream():
    decoder = StreamDecoder("shown")
    frames(decoder, [stream(START) + b'data: {"type":\n\n'])
    assert isinstance(decoder.failure, StreamBroken)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"type":"message"}'])
def test_a_body_that_is_no_answer_is_a_failure(body):
    with pytest.raises(BackendFailed):
        decode_whole(body, "shown")


def test_the_reasoning_before_each_call_is_told_at_the_end():
    told: list[Any] = []
    read(WHOLE_STREAM, remember=told.append)
    (before,) = told
    assert {name: len(blocks) for name, blocks in before.items()} == {"toolu_f": 1, "toolu_g": 0}


def test_a_client_of_openai_gets_the_signed_blocks_and_can_send_them_back():
    encoder = openai_chat.Encoder(model="shown", include_usage=False)
    (choice,) = fold(read(WHOLE_STREAM)).choices
    written = b"".join(encoder.encode(frame.events) for frame in frames(StreamDecoder("shown"), [WHOLE_STREAM]))
    blocks = [
        one for chunk in payloads(written)[:-1] for one in chunk["choices"][0]["delta"].get("thinking_blocks", [])
    ]
    message = {"role": "assistant", "content": "x", "thinking_blocks": blocks}
    request = openai_chat.parse_request(json.dumps({"model": "m", "messages": [message]}).encode())
    assert [json.loads(bytes(raw)) for raw in request.messages[0].reasoning_blocks] == [
        json.loads(bytes(raw)) for raw in choice.reasoning_blocks
    ]


@given(st.data(), st.sampled_from(["", " ", "```json\n", "\n```\n", "```"]), st.sampled_from(["", "\n```", "```\n "]))
def test_a_fence_is_taken_off_however_the_answer_is_cut(data, opening, closing):
    answer = '{"code": "a `b` ```c``` d"}'
    fenced = opening + answer + (closing if "`" in opening else "")
    places = data.draw(cuts(len(fenced)))
    fences = Fences()
    edges = [0, *places, len(fenced)]
    said = "".join(fences.feed(fenced[start:end]) for start, end in pairwise(edges))
    assert (said + fences.finish()).strip() == answer


def test_a_models_own_word_counts_before_the_table():
    yes, no = {"supported": True}, {"supported": False}
    capabilities = {
        "effort": {"supported": True, "low": yes, "high": yes, "medium": no, "max": no, "xhigh": None},
        "thinking": {
            "supported": True,
            "types": {"adaptive": yes, "disabled": yes, "enabled": no, "between_tools": no},
        },
        "image_input": no,
        "structured_outputs": yes,
    }
    body = {
        "data": [
            {"id": "claude-epic-9", "created_at": "2026-11-01T00:00:00Z", "max_input_tokens": 5, "max_tokens": 4,
             "capabilities": capabilities, "lifecycle": "active"},
            {"id": "claude-gone", "lifecycle": "retired"},
            {"id": "claude-haiku-4-5", "capabilities": None, "max_tokens": None},
        ]
    }  # fmt: skip
    epic, haiku = decode_models(json.dumps(body).encode())
    assert epic.traits.efforts == {"low", "high"}
    assert epic.traits.thinking == {"adaptive", "disabled"}
    assert (epic.info.context_length, epic.traits.max_tokens, epic.info.created) == (5, 4, 1793491200)
    assert epic.info.capabilities == {"chat", "tools", "thinking"}
    assert (haiku.traits.max_tokens, haiku.traits.thinking) == (64_000, {"enabled"})

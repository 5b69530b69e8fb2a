"""Streams of servers that are not quite OpenAI's: what a client gets all the same."""

import json

import msgspec
import pytest

from router.canonical.events import Finished, UsageReported
from router.canonical.fold import Choice, fold
from router.dialects import openai_chat
from router.errors import BackendFailed, StreamBroken
from tests.dialects.streams import delta, event_stream, events, frames, payloads

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def decoder(**more) -> openai_chat.StreamDecoder:
    return openai_chat.StreamDecoder("shown", **more)


def sent(stream: bytes, *, include_usage: bool = False, **more) -> list:
    """The payloads that a client gets."""
    encoder = openai_chat.Encoder(model="shown", include_usage=include_usage)
    return payloads(b"".join(encoder.forward(frame) for frame in frames(decoder(**more), [stream])))


def only_choice(stream: bytes, **more) -> Choice:
    (choice,) = fold(events(frames(decoder(**more), [stream]))).choices
    return choice


def call(*, arguments: str | None = None, name: str | None = None, **more) -> dict:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**more, "function": function}


def calls(*pieces: dict) -> dict:
    return delta(tool_calls=list(pieces))


def test_a_finish_reason_without_end_marker_is_an_end():
    assert sent(event_stream(delta("Hi"), delta(finish="stop")))[-1] == "[DONE]"


def test_a_strict_server_owes_its_end_marker():
    with pytest.raises(StreamBroken):
        sent(event_stream(delta("Hi"), delta(finish="stop")), strict_end=True)


def test_one_unfinished_choice_of_two_is_no_end():
    with pytest.raises(StreamBroken):
        sent(event_stream(delta("Hi"), delta("Ho", index=1), delta(finish="stop")))


def test_text_without_any_end_is_broken():
    with pytest.raises(StreamBroken):
        sent(event_stream(delta("Hi")))


def test_an_end_marker_without_finish_reason_gets_one():
    assert [payload["choices"][0]["finish_reason"] for payload in sent(event_stream(delta("Hi"), "[DONE]"))[:-1]] == [
        None,
        "stop",
    ]


def test_a_forgotten_finish_reason_after_a_tool_call_is_tool_calls():
    stream = event_stream(calls(call(index=0, id="a", name="f", arguments="{}")), "[DONE]")
    assert only_choice(stream).finish_reason == "tool_calls"


def test_an_end_marker_alone_is_an_empty_answer():
    assert sent(event_stream("[DONE]"))[-2]["choices"][0]["finish_reason"] == "stop"


def test_what_follows_the_end_marker_is_not_read():
    assert sent(event_stream(delta("Hi"), delta(finish="stop"), "[DONE]", delta("more")))[-1] == "[DONE]"


@pytest.mark.parametrize("missing", ["id", "index", "all"])
def test_what_a_strict_client_cannot_do_without_is_added(missing):
    """OpenAI's stream helper wants all of a chunk, Zed the index of each choice."""
    chunks = [delta("Hi"), delta(" there"), delta(finish="stop")]
    for chunk in chunks:
        if missing == "all":
            chunk.update({"choices": [{"delta": chunk["choices"][0]["delta"], "finish_reason": None}]})
        for key in ("id", "object", "model", "created") if missing == "all" else (missing,):
            (chunk["choices"][0] if key == "index" else chunk).pop(key)
    *told, end = sent(event_stream(*chunks, "[DONE]"))
    assert end == "[DONE]"
    assert {chunk["object"] for chunk in told} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in told}) == 1
    assert {choice["index"] for chunk in told for choice in chunk["choices"]} == {0}
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in told) == "Hi there"
    assert told[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_stream_without_role_or_model_passes_as_it_is():
    bare = {"id": "c1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    assert sent(event_stream(bare, "[DONE]"))[0] == bare


def test_tool_calls_without_index_are_numbered():
    stream = event_stream(
        calls(call(id="a", name="f", arguments='{"x":1}'), call(id="b", name="g", arguments='{"y":2}')), "[DONE]"
    )
    found = only_choice(stream).tool_calls
    assert [(each.id, each.name, each.arguments) for each in found] == [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]


def test_a_client_sees_an_index_on_every_tool_call():
    stream = event_stream(
        calls(call(id="a", name="f")), calls(call(arguments="{}")), calls(call(id="b", name="g")), "[DONE]"
    )
    deltas = [each for payload in sent(stream)[:-2] for each in payload["choices"][0]["delta"]["tool_calls"]]
    assert [each["index"] for each in deltas] == [0, 0, 1]


def test_tool_calls_without_id_get_one_that_stays():
    stream = event_stream(
        calls(call(index=0, name="f", arguments="{")),
        calls(call(index=0, arguments="}")),
        calls(call(index=1, name="g")),
        "[DONE]",
    )
    first, second = only_choice(stream).tool_calls
    assert first.arguments == "{}"
    assert first.id != second.id
    assert first.id.startswith("call_")


def test_tool_calls_without_id_and_index_are_kept_apart_by_their_names():
    stream = event_stream(calls(call(name="f", arguments="{}")), calls(call(name="g", arguments="{}")), "[DONE]")
    assert [each.name for each in only_choice(stream).tool_calls] == ["f", "g"]


def test_tool_calls_that_all_claim_index_0_are_numbered():
    stream = event_stream(
        calls(call(index=0, id="a", name="f", arguments='{"x":1}')),
        calls(call(index=0, id="b", name="g", arguments='{"y":2}')),
        "[DONE]",
    )
    assert [each.arguments for each in only_choice(stream).tool_calls] == ['{"x":1}', '{"y":2}']


def test_a_new_id_on_every_piece_is_no_new_call():
    stream = event_stream(
        calls(call(index=0, id="a", name="f", arguments="{")), calls(call(index=0, id="b", arguments="}")), "[DONE]"
    )
    (found,) = only_choice(stream).tool_calls
    assert (found.id, found.arguments) == ("a", "{}")


def test_a_repeated_id_and_name_is_no_new_call():
    piece = call(index=0, id="a", name="f", arguments="1")
    assert [each.arguments for each in only_choice(event_stream(calls(piece), calls(piece), "[DONE]")).tool_calls] == [
        "11"
    ]


def test_indexes_that_come_out_of_order_are_kept():
    stream = event_stream(calls(call(index=1, id="b", name="g")), calls(call(index=0, id="a", name="f")), "[DONE]")
    assert [each.id for each in only_choice(stream).tool_calls] == ["a", "b"]


def test_usage_on_the_finish_chunk_moves_to_a_chunk_of_its_own():
    stream = event_stream(delta("Hi"), {**delta(finish="stop"), "usage": USAGE}, "[DONE]")
    _, finish, last, _ = sent(stream, include_usage=True)
    assert "usage" not in finish
    assert (last["choices"], last["usage"]) == ([], USAGE)


def test_usage_on_the_finish_chunk_is_kept_from_who_did_not_ask():
    stream = event_stream(delta("Hi"), {**delta(finish="stop"), "usage": USAGE}, "[DONE]")
    assert "usage" not in json.dumps(sent(stream))


def test_usage_on_every_chunk_is_told_once():
    chunks = [
        {**delta("Hi"), "usage": {**USAGE, "completion_tokens": 1}},
        {**delta(), "usage": USAGE},
        delta(finish="stop"),
    ]
    told = [each["usage"] for each in sent(event_stream(*chunks, "[DONE]"), include_usage=True)[:-1] if "usage" in each]
    assert told == [USAGE]


def test_usage_on_every_chunk_of_two_choices_is_not_added_up():
    chunks = [{**delta("Hi", index=at), "usage": USAGE} for at in (0, 1, 0, 1)]
    stream = event_stream(*chunks, {"choices": [], "usage": USAGE}, "[DONE]")
    assert fold(events(frames(decoder(choices=2), [stream]))).usage == UsageReported(3, 2)


def test_usage_that_comes_first_is_held_back():
    stream = event_stream({"id": "c1", "choices": [], "usage": USAGE}, delta("Hi"), delta(finish="stop"), "[DONE]")
    assert "usage" not in json.dumps(sent(stream))
    assert sent(stream, include_usage=True)[-2]["usage"] == USAGE


def test_a_null_usage_is_no_usage():
    stream = event_stream({**delta("Hi"), "usage": None}, {**delta(finish="stop"), "usage": None}, "[DONE]")
    assert sent(stream)[0] == {**delta("Hi"), "usage": None, "model": "shown"}


def test_counts_are_merged_field_by_field():
    stream = event_stream(
        {"choices": [], "usage": {"prompt_tokens": 3}}, {"choices": [], "usage": {"completion_tokens": 2}}, "[DONE]"
    )
    assert fold(events(frames(decoder(), [stream]))).usage == UsageReported(3, 2)


def test_comments_are_not_passed_on():
    stream = b": OPENROUTER PROCESSING\n\n" + event_stream(delta("Hi")) + b":\n\n" + event_stream("[DONE]")
    assert b"OPENROUTER" not in b"".join(frame.raw for frame in frames(decoder(), [stream]))


def test_an_event_with_more_lines_than_data_is_renamed():
    stream = b"event: message\ndata: " + msgspec.json.encode(delta("Hi")) + b"\nid: 7\n\n" + event_stream("[DONE]")
    assert sent(stream)[0] == {**delta("Hi"), "model": "shown"}


def test_json_over_several_data_lines_is_read():
    text = json.dumps(delta("Hi"), indent=1).replace("\n", "\ndata: ")
    assert sent(f"data: {text}\n\n".encode() + event_stream("[DONE]"))[0] == {**delta("Hi"), "model": "shown"}


def test_the_name_is_changed_where_it_stands_twice():
    stream = event_stream({**delta("Hi"), "meta": {"model": "wire-name"}}, "[DONE]")
    assert sent(stream)[0]["model"] == "shown"


def test_a_text_that_looks_like_the_name_is_not_changed():
    text = '"model":"wire-name"'
    assert sent(event_stream(delta(text), "[DONE]"))[0]["choices"][0]["delta"]["content"] == text


@pytest.mark.parametrize(
    "failed",
    [
        {"error": {"message": "out of memory", "type": "server_error", "code": 500}},
        {"error": "out of memory"},
        {"error": {"error": {"message": "out of memory"}, "message": "out of memory"}},
        {"object": "error", "message": "out of memory", "type": "BadRequestError", "code": 400},
    ],
)
def test_an_error_in_the_stream_ends_it_with_its_own_words(failed):
    reading = decoder()
    found = frames_until_failure(reading, event_stream(delta("Hi"), failed, delta("more"), "[DONE]"))
    assert len(found) == 1
    assert isinstance(reading.failure, StreamBroken)
    assert "out of memory" in reading.failure.message


@pytest.mark.parametrize("junk", ["{", '{"choices": [', "not json", '{"a":"\\ud800"}'])
def test_a_piece_that_is_not_json_breaks_the_stream(junk):
    reading = decoder()
    frames_until_failure(reading, event_stream(delta("Hi"), junk, "[DONE]"))
    assert isinstance(reading.failure, StreamBroken)


def test_bytes_that_are_not_utf_8_break_the_stream():
    reading = decoder()
    frames_until_failure(reading, b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n')
    assert isinstance(reading.failure, StreamBroken)


def test_an_error_that_is_nested_too_deeply_still_breaks_the_stream():
    reading = decoder()
    frames_until_failure(reading, b'data: {"error":' + b"[" * 900 + b"]" * 900 + b"}\n\n")
    assert isinstance(reading.failure, StreamBroken)


def test_a_piece_of_a_shape_that_nobody_knows_is_the_clients_to_read():
    odd = {"choices": [{"delta": {"content": [{"type": "text"}]}}]}
    assert sent(event_stream(msgspec.json.encode(odd).decode(), delta(finish="stop"), "[DONE]"))[0] == odd


@pytest.mark.parametrize("odd", ["[1]", '"x"', "5", "null"])
def test_a_piece_that_is_no_object_is_left_out(odd):
    stream = event_stream(odd, delta(content="Hi"), delta(finish="stop"), "[DONE]")
    assert sent(stream) == sent(event_stream(delta(content="Hi"), delta(finish="stop"), "[DONE]"))


@pytest.mark.parametrize(
    "odd",
    [
        b'data: {"choices":5,"x":}\n\n',
        b'data: {"choices":5\n\n',
        b'data: {"choices":[5],"x":"\xff"}\n\n',
        b'data: {"choices":[],"x":"\xff"}\n\n',
        b'data: {"choices":[],"\xed\xa0\x80":1}\n\n',
        b'event: \xff\ndata: {"choices":[]}\n\n',
        b"data: [5\n\n",
    ],
)
def test_a_piece_that_no_client_could_read_breaks_the_stream(odd):
    reading = decoder()
    frames_until_failure(reading, odd)
    assert isinstance(reading.failure, StreamBroken)


@pytest.mark.parametrize("odd", [b'{"choices":5,"x":}', b'{"choices":5,"x":"\xff"}', b'{"choices":[],"x":"\xff"}'])
def test_a_whole_answer_that_no_client_could_read_is_the_backends_failure(odd):
    with pytest.raises(BackendFailed):
        openai_chat.decode_whole(odd, "shown")


def test_one_json_body_instead_of_a_stream_becomes_one():
    body = {
        "id": "c1",
        "model": "wire-name",
        "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
    }
    *chunks, end = sent(msgspec.json.encode(body), strict_end=True)
    assert end == "[DONE]"
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "Hi"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_one_json_error_instead_of_a_stream_is_a_failure():
    reading = decoder()
    reading.feed(b'{"error":{"message":"no"}}')
    reading.finish()
    assert isinstance(reading.failure, StreamBroken)


def test_a_whole_answer_without_finish_reason_gets_one():
    body = {"choices": [{"index": 0, "message": {"tool_calls": [call(name="f")]}}]}
    found = events([openai_chat.decode_whole(msgspec.json.encode(body), "shown")])
    assert [event.reason for event in found if isinstance(event, Finished)] == ["tool_calls"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"x"', b"{", b"{}", b"<html>", b'{"choices":null}', b'{"error":"no"}', b"\xff"]
)
def test_a_whole_answer_that_is_none_is_the_backends_failure(body):
    with pytest.raises(BackendFailed):
        openai_chat.decode_whole(body, "shown")


def test_a_whole_answer_of_a_shape_that_nobody_knows_is_renamed_and_passed_on():
    body = {"model": "wire-name", "choices": [{"message": {"content": [{"type": "text", "text": "Hi"}]}}]}
    assert json.loads(openai_chat.decode_whole(msgspec.json.encode(body), "shown").raw) == {**body, "model": "shown"}


def frames_until_failure(reading: openai_chat.StreamDecoder, stream: bytes) -> list:
    """The frames before a failure; after it nothing more comes, and the end raises nothing of its own."""
    return [*reading.feed(stream), *reading.finish()]

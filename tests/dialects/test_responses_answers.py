"""How answers are told to clients of the Responses API."""

import json
from typing import Any

import pytest
from msgspec import Raw

from router.canonical.events import (
    Ended,
    Event,
    Finished,
    LogprobsReported,
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
from router.dialects import openai_responses
from router.errors import ContextLengthExceeded, RateLimited
from tests.dialects.responses_reading import events_of, parsed, read

TOOLS = [
    {"type": "custom", "name": "apply_patch"},
    {"type": "local_shell"},
    {"type": "namespace", "name": "docs", "tools": [{"type": "function", "name": "find"}]},
]
SHELL = '{"command": ["ls", "-l"], "working_directory": "/tmp", "timeout_ms": 5}'


def told(*events: Event, **fields: Any) -> bytes:
    """The stream that tells these events, each in a frame of its own."""
    encoder = openai_responses.Encoder(parsed(**fields))
    return b"".join(encoder.encode([event]) for event in (Started("c1", "wire-name", 7), *events))


def called(name: str, arguments: str) -> list[Event]:
    half = len(arguments) // 2
    pieces: list[Event] = [ToolCallDelta(0, arguments[:half]), ToolCallDelta(0, arguments[half:])]
    return [ToolCallStarted(0, "call_1", name), *pieces, Finished("tool_calls"), Ended()]


def kinds(stream: bytes) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events_of(stream)]


def test_a_text_is_told_in_the_order_that_clients_expect():
    assert kinds(told(TextDelta("Hello"), TextDelta(" you"), Finished("stop"), Ended())) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip


def test_thoughts_are_told_as_a_summary_before_the_text():
    assert kinds(told(ReasoningDelta("hm"), TextDelta("Hello"), Finished("stop"), Ended()))[2:9] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done", "output_item.added",
    ]  # fmt: skip


def test_a_custom_tool_is_called_with_its_bare_input():
    (item,) = read(told(*called("apply_patch", '{"input": "*** Begin\\n"}'), tools=TOOLS)).response["output"]
    assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "apply_patch", "*** Begin\n")
    assert (item["call_id"], item["id"][:4], item["status"]) == ("call_1", "ctc_", "completed")


@pytest.mark.parametrize(
    ("arguments", "meant"), [("*** Begin", "*** Begin"), ("", ""), ("{}", ""), ('{"x":1}', '{"x":1}')]
)
def test_a_custom_tool_that_is_called_wrongly_gets_what_the_model_wrote(arguments, meant):
    (item,) = read(told(*called("apply_patch", arguments), tools=TOOLS)).response["output"]
    assert item["input"] == meant


def test_the_shell_is_called_with_an_action():
    (item,) = read(told(*called("local_shell", SHELL), tools=TOOLS)).response["output"]
    assert item["type"] == "local_shell_call"
    assert item["action"] == {
        "type": "exec", "command": ["ls", "-l"], "env": {}, "timeout_ms": 5, "user": None, "working_directory": "/tmp"
    }  # fmt: skip


def test_a_function_of_a_namespace_gets_both_its_names_back():
    (item,) = read(told(*called("docs__find", "{}"), tools=TOOLS)).response["output"]
    assert (item["type"], item["namespace"], item["name"], item["arguments"]) == ("function_call", "docs", "find", "{}")


def test_a_call_that_the_model_made_up_is_a_functions():
    (item,) = read(told(*called("unheard_of", '{"a":1}'), tools=TOOLS)).response["output"]
    assert (item["type"], item["name"], item["arguments"]) == ("function_call", "unheard_of", '{"a":1}')


def test_signed_thoughts_between_calls_are_items_between_them():
    blocks = [Raw(b'{"type": "thinking","n":%d}' % number) for number in range(2)]
    stream = told(
        ReasoningDelta("a"), ReasoningSigned(blocks[0]), ToolCallStarted(0, "c0", "f"), ReasoningDelta("b"),
        ReasoningSigned(blocks[1]), ToolCallStarted(1, "c1", "f"), Finished("tool_calls"), Ended(),
    )  # fmt: skip
    found = read(stream)
    assert found.done == [0, 1, 2, 3]
    assert [item["type"] for item in found.response["output"]] == ["reasoning", "function_call"] * 2


@pytest.mark.parametrize(("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_is_incomplete_and_says_why(reason, why):
    response = read(told(TextDelta("Hel"), Finished(reason), Ended())).response
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": why})
    assert response["output"][0]["status"] == "incomplete"


def test_a_refusal_is_a_part_of_its_own():
    stream = told(TextDelta("Hel"), Refused("No."), Refused(" Never."), Finished("content_filter"), Ended())
    (item,) = read(stream).response["output"]
    assert [part["type"] for part in item["content"]] == ["output_text", "refusal"]
    assert item["content"][1]["refusal"] == "No. Never."


def test_an_answer_without_anything_in_it_is_still_complete():
    assert kinds(told(Finished("stop"), Ended())) == ["created", "in_progress", "completed"]


def test_counts_are_those_of_the_last_report():
    stream = told(UsageReported(7, 1), UsageReported(None, 5, 3, 2), Finished("stop"), Ended())
    assert read(stream).response["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 12,
    }


def test_log_probabilities_come_with_the_text_when_it_is_whole():
    weighed = LogprobsReported(Raw(b'[{"token":"x","logprob":-0.5}]'))
    (item,) = read(told(TextDelta("x"), weighed, TextDelta("x"), weighed, Finished("stop"), Ended())).response["output"]
    assert [entry["logprob"] for entry in item["content"][0]["logprobs"]] == [-0.5, -0.5]


def test_the_answer_repeats_what_was_asked():
    asked = {"tools": TOOLS, "instructions": "Be brief.", "metadata": {"a": "b"}, "temperature": 0.5, "store": False}
    response = read(told(Finished("stop"), Ended(), **asked)).response
    assert {key: response[key] for key in asked} == asked
    assert (response["model"], response["truncation"], response["object"]) == ("m", "disabled", "response")
    assert response["id"].startswith("resp_")


def test_an_answer_that_never_began_fails_as_one_that_has():
    encoder = openai_responses.Encoder(parsed())
    stream = encoder.error(ContextLengthExceeded("too long", param="messages"))
    assert kinds(stream) == ["created", "in_progress", "error", "failed"]
    *_, error, failed = events_of(stream)
    assert (error["code"], error["message"], error["param"]) == ("context_length_exceeded", "too long", "messages")
    assert failed["response"]["error"] == {"code": "context_length_exceeded", "message": "too long"}


def test_a_failure_keeps_what_was_whole_and_nothing_else():
    encoder = openai_responses.Encoder(parsed())
    stream = encoder.encode([ReasoningDelta("hm"), TextDelta("Hel")]) + encoder.error(
        RateLimited("busy", retry_after=7)
    )
    failed = events_of(stream)[-1]["response"]
    assert failed["error"] == {"code": "rate_limit_exceeded", "message": "busy Please try again in 7s."}
    assert [item["type"] for item in failed["output"]] == ["reasoning"]


def test_a_whole_body_is_amended_and_keeps_what_is_not_known():
    encoder = openai_responses.Encoder(parsed())
    choices = fold([TextDelta("new"), Finished("stop")]).choices
    body = json.loads(
        encoder.amended(b'{"x":1,"output":[]}', choices=choices, usage=UsageReported(1, 2, estimated=True))
    )
    assert (body["x"], body["output"][0]["content"][0]["text"], body["usage"]["estimated"]) == (1, "new", True)

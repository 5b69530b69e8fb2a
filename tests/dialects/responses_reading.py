"""A careful client of the Responses API: it puts an answer together from the pieces and believes nothing else."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw

from router.canonical.events import (
    Event,
    Finished,
    ReasoningDelta,
    ReasoningSigned,
    Refused,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from router.dialects import openai_responses
from router.dialects.openai_responses.sealed import unsealed

ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
LIFE = ENDS | {"response.created", "response.in_progress"}
PIECES = {
    "response.output_text": ("content", "text"),
    "response.refusal": ("content", "refusal"),
    "response.reasoning_summary_text": ("summary", "text"),
}
CALLS = {"response.function_call_arguments": "arguments", "response.custom_tool_call_input": "input"}


class NothingKept:
    """Nothing was answered before."""

    def conversation(self, response_id: str) -> Sequence[Raw] | None:
        return None

    def item(self, item_id: str) -> Raw | None:
        return None


def parsed(**fields: Any) -> openai_responses.Asked:
    body = json.dumps({"model": "m", "input": "hi", **fields}).encode()
    return openai_responses.parse_request(body, NothingKept())


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events in order; each is named by its type, and numbered."""
    events: list[dict[str, Any]] = []
    for block in stream.split(b"\n\n"):
        if block and not block.startswith(b":"):
            name, data = block.split(b"\n")
            event = json.loads(data.removeprefix(b"data: "))
            assert name == b"event: " + event["type"].encode()
            events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


@dataclass
class Read:
    """`items` are put together from pieces, by their index; `done` are those that have ended, in that order."""

    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    done: list[int] = field(default_factory=list)
    response: Mapping[str, Any] = field(default_factory=dict)

    def take(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind in LIFE:
            self.response = event["response"]
        elif kind == "response.output_item.added":
            assert event["output_index"] == len(self.items)
            self.items[event["output_index"]] = event["item"]
        elif kind == "response.output_item.done":
            self._end(event)
        elif kind != "error":
            self._piece(kind, event)

    def _end(self, event: dict[str, Any]) -> None:
        at, item = event["output_index"], event["item"]
        assert at not in self.done
        sealed = {"encrypted_content": item["encrypted_content"]} if "encrypted_content" in item else {}
        action = {"action": item["action"]} if "action" in item else {}
        status = {"status": item["status"]} if "status" in item else {}
        assert item == {**self.items[at], **sealed, **action, **status}
        self.items[at] = item
        self.done.append(at)

    def _piece(self, kind: str, event: dict[str, Any]) -> None:
        item = self.items[event["output_index"]]
        assert event["item_id"] == item["id"]
        assert event["output_index"] not in self.done
        name, _, what = kind.rpartition(".")
        if name in CALLS:
            self._call(item, CALLS[name], what, event)
        elif name in PIECES:
            parts, key = PIECES[name]
            place = event["summary_index" if parts == "summary" else "content_index"]
            if what == "done":
                assert item[parts][place][key] == event[key]
            else:
                item[parts][place][key] += event["delta"]
        else:
            self._part(item, what, event)

    def _call(self, item: dict[str, Any], key: str, what: str, event: dict[str, Any]) -> None:
        if what == "delta":
            item[key] += event["delta"]
        else:
            item[key] = item[key] or "{}" if key == "arguments" else item[key]
            assert event[key] == item[key]

    def _part(self, item: dict[str, Any], what: str, event: dict[str, Any]) -> None:
        parts, place = ("summary", "summary_index") if "summary_index" in event else ("content", "content_index")
        if what == "added":
            assert event[place] == len(item[parts])
            item[parts].append(event["part"])
        else:
            item[parts][event[place]] = (
                {**item[parts][event[place]], "logprobs": event["part"].get("logprobs")}
                if (event["part"]["type"] == "output_text")
                else item[parts][event[place]]
            )
            assert item[parts][event[place]] == event["part"]


def read(stream: bytes) -> Read:
    """A whole stream; it has to end as it should, once, with everything in it that was told before."""
    events = events_of(stream)
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event["type"] in ENDS for event in events] == [False] * (len(events) - 1) + [True]
    found = Read()
    for event in events:
        found.take(event)
    assert f"response.{found.response['status']}" == events[-1]["type"]
    assert sorted(found.done) == list(found.items)
    assert found.response["output"] == [found.items[at] for at in sorted(found.items)]
    return found


def meaning(response: Mapping[str, Any]) -> list[Event]:
    """What a response says, in no wire format."""
    events: list[Event] = []
    for index, item in enumerate(response["output"]):
        if item["type"] == "reasoning":
            events += [ReasoningDelta(part["text"]) for part in item["summary"]]
            events += [ReasoningSigned(block) for block in unsealed(item.get("encrypted_content"))]
        elif item["type"] == "message":
            events += [_said(part) for part in item["content"]]
        else:
            events += [ToolCallStarted(index, item["call_id"], item["name"]), ToolCallDelta(index, item["arguments"])]
    details = response["incomplete_details"]
    reasons = {"max_output_tokens": "length", "content_filter": "content_filter"}
    return [*events, Finished(reasons[details["reason"]] if details else "stop")]


def _said(part: Mapping[str, Any]) -> Event:
    return Refused(part["refusal"]) if part["type"] == "refusal" else TextDelta(part["text"])

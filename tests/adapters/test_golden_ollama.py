"""OpenAI's clients at the front, Ollama at the back: every golden case through a running router.

`tests/golden/golden_ollama.json` holds pairs of what a client sends and what Ollama must receive, and of what Ollama
answers and what the client must get. `tests/adapters/matching.py` says when two of them are the same.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.app import close
from tests.adapters.matching import joined, mismatches
from tests.fakes import FakeBackend, FakeModel, Scripted
from tests.fakes.journal import Recorded
from tests.running import RunningRouter, running

GOLDEN = Path(__file__).parent.parent / "golden" / "golden_ollama.json"
CASES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads(GOLDEN.read_text()) if case.get("direction") != "mirror"
}
NO_RULES = {
    "first chunk delta has role assistant",
    "no chunk other than the first and the finish chunk has an empty delta content",
}
LENIENT = {"llama3.2": {"targets": ["desk/llama3.2"], "client_options": ["num_ctx"]}}
SAYING_HOW_TO_LOAD = {"extra_body_ollama_fields"}
"""Clients may say how a model is loaded only where an alias lets them."""
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("get_weather", "get_time")]


@dataclass(frozen=True)
class Outcome:
    """What a case led to: the router's answer and the requests that the fake received."""

    answer: httpx.Response
    received: Sequence[Recorded]

    @property
    def payloads(self) -> list[str]:
        """What the events of a stream carry, in order."""
        events = self.answer.text.split("\n\n")
        return [event.removeprefix("data: ") for event in events if event.startswith("data: ")]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.payloads if payload != "[DONE]"]

    @property
    def error(self) -> dict[str, Any]:
        return self.chunks[-1]["error"] if self.payloads else self.answer.json()["error"]


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, Outcome]:
    """Every case played, one after another, through one router that meets one Ollama."""
    return asyncio.run(play_all())


async def play_all() -> dict[str, Outcome]:
    async with FakeBackend([]) as fake, router_over(fake) as plain, router_over(fake, LENIENT) as lenient:
        return {
            name: await play(case, fake, lenient if name in SAYING_HOW_TO_LOAD else plain)
            for name, case in CASES.items()
        }


@asynccontextmanager
async def router_over(fake: FakeBackend, models: Mapping[str, Any] = {}) -> AsyncIterator[RunningRouter]:
    async with running({"backends": {"desk": {"type": "ollama", "url": fake.url}}, "models": models}) as router:
        yield router
        await close(router.router.fleet)


async def play(case: Mapping[str, Any], fake: FakeBackend, router: RunningRouter) -> Outcome:
    fake.reset()
    request = request_of(case)
    fake.models = [model_of(case, request)] if request else []
    if answers(case):
        fake.script(case["ollama_endpoint"].removeprefix("GET "), scripted(case))
    await router.looked()
    method, path = method_and_path(case["openai_endpoint"])
    answer = await router.client.request(method, path, json=request)
    return Outcome(answer, list(fake.requests))


def method_and_path(endpoint: str) -> tuple[str, str]:
    method, _, path = endpoint.rpartition(" ")
    return method or "POST", path


def answers(case: Mapping[str, Any]) -> bool:
    return any(key.startswith("ollama_response") for key in case)


def request_of(case: Mapping[str, Any]) -> dict[str, Any] | None:
    """The case's own request, or for a case about answers one that could lead to it."""
    if "openai_request" in case:
        return case["openai_request"]
    if case["openai_endpoint"].startswith("GET "):
        return None
    lines = case.get("ollama_response_lines", [])
    model = next((line["model"] for line in lines if "model" in line), "llama3.2")
    request: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    if any(line.get("message", {}).get("tool_calls") for line in lines):
        request["tools"] = TOOLS
    return {**request, "stream": True} if streams(case) else request


def streams(case: Mapping[str, Any]) -> bool:
    return "openai_sse" in case or "openai_assembled" in case


def model_of(case: Mapping[str, Any], request: Mapping[str, Any]) -> FakeModel:
    embeds = case["openai_endpoint"].endswith("embeddings") and case.get("ollama_status", 200) == 200
    default = ["embedding"] if embeds else ["completion", "tools"]
    return FakeModel(request["model"], case.get("model_capabilities", default))


def scripted(case: Mapping[str, Any]) -> Scripted:
    common = {"status": case.get("ollama_status", 200), "content_type": case.get("ollama_content_type")}
    if "ollama_response_raw_hex" in case:
        return Scripted(chunks=[bytes.fromhex(read) for read in case["ollama_response_raw_hex"]], **common)
    if "ollama_response_text" in case:
        return Scripted(body=case["ollama_response_text"].encode(), **common)
    return Scripted(lines=case["ollama_response_lines"], **common)


def cases_with(*keys: str) -> list[str]:
    return [name for name, case in CASES.items() if any(key in case for key in keys)]


def as_sent(body: Mapping[str, Any]) -> dict[str, Any]:
    """A request without what means nothing: empty options or tools, one input as a list, our own `truncate`."""
    plain = {key: value for key, value in body.items() if key not in {"options", "tools"} or value}
    plain.pop("truncate", None)
    if isinstance(plain.get("input"), str) and plain["input"]:
        plain["input"] = [plain["input"]]
    return plain


@pytest.mark.parametrize("name", cases_with("ollama_request"))
def test_ollama_receives_the_translated_request_and_nothing_else(name, outcomes):
    received = outcomes[name].received
    assert [request.path for request in received] == [CASES[name]["ollama_endpoint"]]
    assert mismatches(as_sent(CASES[name]["ollama_request"]), as_sent(received[0].json), exact=True) == []


@pytest.mark.parametrize("name", cases_with("expect_no_upstream_call"))
def test_what_ollama_cannot_do_is_refused_without_asking_it(name, outcomes):
    assert outcomes[name].received == []


@pytest.mark.parametrize("name", CASES)
def test_the_client_gets_the_status_of_the_case(name, outcomes):
    answer = outcomes[name].answer
    assert answer.status_code == CASES[name].get("openai_status", 200), answer.text


@pytest.mark.parametrize("name", cases_with("openai_response"))
def test_the_client_gets_the_translated_answer(name, outcomes):
    assert mismatches(CASES[name]["openai_response"], outcomes[name].answer.json()) == []


@pytest.mark.parametrize("name", cases_with("openai_sse"))
def test_the_stream_has_the_chunks_of_the_case_in_order(name, outcomes):
    payloads = [payload if payload == "[DONE]" else json.loads(payload) for payload in outcomes[name].payloads]
    assert mismatches(CASES[name]["openai_sse"], payloads) == []


@pytest.mark.parametrize("name", cases_with("openai_assembled"))
def test_the_joined_stream_is_the_answer_of_the_case(name, outcomes):
    wanted = dict(CASES[name]["openai_assembled"])
    distinct = wanted.pop("distinct_tool_call_ids", None)
    found = joined(outcomes[name].chunks)
    assert mismatches(wanted, found) == []
    if distinct:
        assert len({call["id"] for call in found["tool_calls"]}) == len(found["tool_calls"]) > 0


@pytest.mark.parametrize("name", cases_with("openai_sse_forbid"))
def test_the_stream_never_holds_what_the_case_forbids(name, outcomes):
    assert not [text for text in CASES[name]["openai_sse_forbid"] if text in outcomes[name].answer.text]


@pytest.mark.parametrize("name", cases_with("openai_sse_rules"))
def test_a_stream_opens_with_the_role_and_has_no_empty_content_after_it(name, outcomes):
    first, *rest = [chunk["choices"][0] for chunk in outcomes[name].chunks if chunk["choices"]]
    assert first["delta"]["role"] == "assistant"
    assert [choice for choice in rest if not choice["finish_reason"] and not choice["delta"].get("content")] == []
    assert set(CASES[name]["openai_sse_rules"]) <= NO_RULES


@pytest.mark.parametrize("name", cases_with("openai_error_contains"))
def test_the_error_says_what_ollama_said(name, outcomes):
    message = outcomes[name].error["message"]
    assert not [text for text in CASES[name]["openai_error_contains"] if text not in message], message


@pytest.mark.parametrize("name", cases_with("openai_headers"))
def test_the_answer_has_the_headers_of_the_case(name, outcomes):
    assert mismatches(CASES[name]["openai_headers"], dict(outcomes[name].answer.headers)) == []


def test_every_kind_of_expectation_is_checked():
    checked = {"openai_response", "openai_sse", "openai_assembled", "openai_sse_forbid", "openai_sse_rules",
               "openai_error_contains", "openai_headers", "openai_status", "ollama_request",
               "expect_no_upstream_call"}  # fmt: skip
    given = {"openai_request", "openai_endpoint", "ollama_endpoint", "ollama_status", "ollama_content_type",
             "ollama_response_lines", "ollama_response_text", "ollama_response_raw_hex", "model_capabilities",
             "name", "why", "policy", "note"}  # fmt: skip
    assert {key for case in CASES.values() for key in case} <= checked | given

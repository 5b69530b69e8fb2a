"""OpenAI's clients at the front, Claude at the back: every golden case through a running router and the real SDK.

`tests/golden/golden_claude.json` holds pairs of what a client sends and what Claude must receive, and of what Claude
answers and what the client must get. `tests/adapters/matching.py` says when two of them are the same; one plain text
and its block are the same to Claude.
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

from tests.adapters.matching import mismatches
from tests.fakes import FakeBackend, FakeModel, Scripted
from tests.fakes.journal import Recorded
from tests.running import RunningRouter, running

GOLDEN = Path(__file__).parent.parent / "golden" / "golden_claude.json"
KEY = "sk-ant-of-the-router"
CASES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads(GOLDEN.read_text()) if not case["kind"].startswith("inbound")
}


@dataclass(frozen=True)
class Outcome:
    """What a case led to: the router's answer and the requests that the fake received."""

    answer: httpx.Response
    received: Sequence[Recorded]

    @property
    def payloads(self) -> list[Any]:
        events = [event.removeprefix("data: ") for event in self.answer.text.split("\n\n") if event.startswith("data:")]
        return [event if event == "[DONE]" else json.loads(event) for event in events]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """Every case once, one after the other."""
    return asyncio.run(play_all())


async def play_all() -> dict[str, Outcome]:
    models = sorted({request_of(case)["model"] for case in CASES.values()})
    async with FakeBackend([FakeModel(name) for name in models], flavour="claude") as fake:
        fake.key = KEY
        async with router_over(fake, models) as router:
            return {name: await play(case, fake, router) for name, case in CASES.items()}


@asynccontextmanager
async def router_over(fake: FakeBackend, models: Sequence[str]) -> AsyncIterator[RunningRouter]:
    """A case with a config of its own asks for an alias that has it; the client is told the alias's name."""
    aliases = {
        name: {"targets": [f"claude/{request_of(case)['model']}"], "options": case["config"]}
        for name, case in CASES.items()
        if "config" in case
    }
    claude = {"type": "claude", "url": fake.url, "api_key": KEY, "models": list(models)}
    async with running({"backends": {"claude": claude}, "models": aliases}) as router:
        yield router


async def play(case: Mapping[str, Any], fake: FakeBackend, router: RunningRouter) -> Outcome:
    fake.reset()
    if (answer := scripted(case)) is not None:
        fake.script("/v1/messages", answer)
    request = request_of(case)
    if "config" in case:
        request = {**request, "model": case["name"]}
    answer = await router.client.post("/v1/chat/completions", json=request)
    return Outcome(answer, list(fake.requests))


def request_of(case: Mapping[str, Any]) -> dict[str, Any]:
    """The case's own request, or for a case about answers one that could lead to it."""
    if "openai_request" in case:
        return case["openai_request"]
    answered = case.get("anthropic_response") or case.get("anthropic_events", [{}])[0].get("message", {})
    request = {
        "model": answered.get("model", "claude-sonnet-5"),
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hi"}],
    }
    if case["kind"] == "stream":
        request |= {"stream": True, "stream_options": case.get("openai_stream_options")}
    return request


def scripted(case: Mapping[str, Any]) -> Scripted | None:
    match case["kind"]:
        case "response":
            return Scripted(lines=[case["anthropic_response"]])
        case "stream":
            return Scripted(lines=case["anthropic_events"])
        case "error":
            error = case["anthropic_error"]
            return Scripted(status=error["status"], headers=error["headers"], lines=[error["body"]])
        case _:
            return None


def spelt_out(value: Any) -> Any:
    """A request with every plain text content as its block."""
    if isinstance(value, list):
        return [spelt_out(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: [{"type": "text", "text": inner}] if key == "content" and isinstance(inner, str) else spelt_out(inner)
        for key, inner in value.items()
    }


def cases_of(*kinds: str) -> list[str]:
    return [name for name, case in CASES.items() if case["kind"] in kinds]


@pytest.mark.parametrize("name", cases_of("request"))
def test_claude_receives_the_translated_request_and_nothing_else(name, outcomes):
    (received,) = outcomes[name].received
    assert mismatches(spelt_out(CASES[name]["anthropic_request"]), spelt_out(received.json), exact=True) == []
    assert outcomes[name].answer.status_code == 200, outcomes[name].answer.text


@pytest.mark.parametrize("name", cases_of("request_rejected"))
def test_what_claude_cannot_do_is_refused_without_asking_it(name, outcomes):
    assert outcomes[name].received == []


@pytest.mark.parametrize("name", cases_of("response"))
def test_the_client_gets_the_translated_answer(name, outcomes):
    assert mismatches(CASES[name]["openai_response"], outcomes[name].answer.json()) == []


@pytest.mark.parametrize("name", cases_of("stream"))
def test_the_stream_has_the_chunks_of_the_case_in_order(name, outcomes):
    assert mismatches(CASES[name]["openai_chunks"], outcomes[name].payloads) == []


@pytest.mark.parametrize("name", cases_of("error", "request_rejected"))
def test_the_client_gets_the_error_of_the_case(name, outcomes):
    expected, answer = CASES[name]["openai_error"], outcomes[name].answer
    assert answer.status_code == expected["status"], answer.text
    assert mismatches(expected["body"], answer.json()) == []
    assert mismatches(expected.get("headers", {}), dict(answer.headers)) == []


def test_every_request_carries_the_key_and_the_version(outcomes):
    headers = [request.headers for outcome in outcomes.values() for request in outcome.received]
    assert {header["authorization"] for header in headers} == {f"Bearer {KEY}"}
    assert {header["anthropic-version"] for header in headers} == {"2026-10-21"}
    assert {header["content-type"] for header in headers} == {"application/json"}


def test_every_kind_of_case_is_checked():
    assert {case["kind"] for case in CASES.values()} == {"request", "request_rejected", "response", "stream", "error"}
    assert len(CASES) == 26

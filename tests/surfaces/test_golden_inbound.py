"""Anthropic's clients at the front: the inbound golden cases through a running router.

`tests/golden/golden_claude.json` holds what such a client sends and what a server that speaks OpenAI's format must
receive, and what that answers and the events that the client must get.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.matching import mismatches
from tests.fakes import FakeBackend, FakeModel, Scripted
from tests.running import running
from tests.surfaces.asking import backends
from tests.surfaces.messages import events_of, said

pytestmark = pytest.mark.anyio

GOLDEN = Path(__file__).parent.parent / "golden" / "golden_claude.json"
CASES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads(GOLDEN.read_text()) if case["kind"].startswith("inbound")
}
ABLE = ("completion", "tools", "thinking")


def cases_of(kind: str) -> list[str]:
    return [name for name, case in CASES.items() if case["kind"] == kind]


@pytest.fixture(params=["openai", "llama_cpp"])
async def local(request, anyio_backend):
    async with (
        FakeBackend([FakeModel("local-qwen", ABLE)], flavour=request.param) as fake,
        running({"backends": backends({"desk": fake})}) as r,
    ):
        yield fake, r


@pytest.mark.parametrize("name", cases_of("inbound_request"))
async def test_the_backend_receives_the_translated_request_and_nothing_else(name, local):
    fake, r = local
    response = await r.client.post("/v1/messages", json=CASES[name]["anthropic_request"])
    assert response.status_code == 200, response.text
    (received,) = fake.requests
    assert mismatches(CASES[name]["openai_request"], received.json, exact=True) == []


@pytest.mark.parametrize("name", cases_of("inbound_stream"))
async def test_the_client_gets_the_events_of_the_case_in_order(name, local):
    fake, r = local
    fake.script("/v1/chat/completions", Scripted(lines=CASES[name]["openai_chunks"]))
    response = await r.client.post("/v1/messages", json=said("local-qwen", stream=True))
    assert response.headers["content-type"].startswith("text/event-stream")
    assert mismatches(CASES[name]["anthropic_events"], events_of(response.content), exact=True) == []


def test_every_inbound_case_is_checked():
    assert {case["kind"] for case in CASES.values()} == {"inbound_request", "inbound_stream"}
    assert len(CASES) == 2

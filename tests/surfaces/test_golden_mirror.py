"""Ollama's clients at the front: the mirrored golden cases through a running router."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.matching import mismatches
from tests.fakes import FakeBackend, FakeModel, Scripted
from tests.running import running
from tests.surfaces.asking import backends

pytestmark = pytest.mark.anyio

GOLDEN = Path(__file__).parent.parent / "golden" / "golden_ollama.json"
CASES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads(GOLDEN.read_text()) if case.get("direction") == "mirror"
}
ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def cases_with(key: str) -> list[str]:
    return [name for name, case in CASES.items() if key in case]


@pytest.fixture
async def served(anyio_backend):
    """A router in front of a server that speaks OpenAI's format."""
    models = [FakeModel("m", ("completion", "tools", "vision", "thinking"))]
    async with (
        FakeBackend(models, flavour="openai") as fake,
        running({"backends": backends({"desk": fake})}) as r,
    ):
        yield fake, r


@pytest.mark.parametrize("name", cases_with("ollama_request"))
async def test_the_backend_receives_the_translated_request_and_nothing_else(name, served):
    fake, r = served
    response = await r.client.post(CASES[name]["ollama_endpoint"], json=CASES[name]["ollama_request"])
    assert response.status_code == 200, response.text
    (received,) = fake.requests
    assert received.path == CASES[name]["openai_endpoint"]
    assert mismatches(CASES[name]["openai_request"], received.json, exact=True) == []


@pytest.mark.parametrize("name", cases_with("ollama_response_lines"))
async def test_the_client_gets_the_lines_of_the_case_in_order(name, served):
    fake, r = served
    fake.script(CASES[name]["openai_endpoint"], Scripted(lines=CASES[name]["openai_sse"]))
    response = await r.client.post(CASES[name]["ollama_endpoint"], json=ASKED)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/x-ndjson")
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert mismatches(CASES[name]["ollama_response_lines"], lines) == []
    assert all("error" not in line for line in lines[:-1])


def test_every_mirrored_case_is_checked():
    assert len(CASES) == 3
    assert set(CASES) == {*cases_with("ollama_request"), *cases_with("ollama_response_lines")}

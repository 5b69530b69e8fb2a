"""What a running `turnout serve` writes to a stderr that is no terminal."""

import json
from pathlib import Path

import httpx
import pytest

from tests.e2e.serving import served
from tests.fakes import FakeProcess

pytestmark = pytest.mark.anyio

PROMPT = "planted prompt about my health"


async def test_every_request_is_a_json_line_and_none_is_lost_when_it_stops(tmp_path: Path) -> None:
    async with FakeProcess(kind="ollama", models=["m"]) as fake:
        with served(tmp_path, {"backends": {"desk": {"type": "ollama", "url": fake.url}}}) as running:
            async with httpx.AsyncClient(base_url=running.url, timeout=20) as client:
                for number in range(20):
                    body = {"model": "desk/m", "messages": [{"role": "user", "content": PROMPT}]}
                    headers = {"x-request-id": f"mine-{number}"}
                    (await client.post("/v1/chat/completions", json=body, headers=headers)).raise_for_status()
            assert running.terminate() == 0
    text = running.log.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["logger"] == "router.requests"]
    assert [line["id"] for line in requests] == [f"mine-{number}" for number in range(20)]
    assert {(line["backend"], line["outcome"], line["completion_tokens"]) for line in requests} == {("desk", "ok", 4)}
    assert PROMPT not in text

"""Whatever body an Anthropic client sends, the router answers in its shape, soon, and without a fault of its own."""

import copy
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.bodies import damaged, mutate
from tests.fuzz.conftest import EXAMPLES, Range
from tests.sdk.kinds import FAKES, Kind
from tests.surfaces.messages import COUNT, LOOP, MESSAGES, WEATHER, error_of, events_of

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
"""Which hypothesis believes its strategies do when the router, on its own thread, draws a number."""

_IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
_TEXT = {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}
BODIES: list[dict[str, Any]] = [
    {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    {
        "max_tokens": 9,
        "system": [{"type": "text", "text": "x-anthropic-billing-header: 1"}, _TEXT],
        "messages": [*LOOP, {"role": "system", "content": "Be brief."}],
        "tools": [WEATHER, {"type": "web_search_20250305", "name": "web_search"}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "metadata": {"user_id": "{}"},
        "context_management": {"edits": []},
    },
    {
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": [_TEXT, _IMAGE]},
            {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}, _TEXT]},
            {
                "role": "user",
                "content": [
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
                    {"type": "search_result", "source": "x", "title": "t", "content": [_TEXT]},
                ],
            },
        ],
        "temperature": 1,
        "top_p": 0.5,
        "top_k": 3,
        "stop_sequences": ["END"],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    },
]


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes]:
    """A route, and a body that was valid before it was mutated."""
    random = draw(st.randoms(use_true_random=True))
    base: dict[str, Any] = copy.deepcopy(random.choice(BODIES))
    if random.random() < 0.5:
        base["stream"] = True
    for _ in range(draw(st.integers(0, 4))):
        mutate(base, random)
    body = json.dumps({"model": "m", **base}).encode()
    if random.random() < 0.1:
        body = damaged(body, random)
    return COUNT if random.random() < 0.1 else MESSAGES, body


def check(response: httpx.Response, path: str) -> None:
    """Raises AssertionError for anything but a whole answer, a whole stream, or an error in Anthropic's shape."""
    if response.status_code != 200:
        assert response.status_code < 500, response.text
        error_of(response)
    elif response.headers["content-type"].startswith("text/event-stream"):
        assert events_of(response.content)[-1]["type"] in {"message_stop", "error"}
    else:
        assert ("input_tokens" in response.json()) if path == COUNT else response.json()["type"] == "message"


@pytest.mark.parametrize("kind", FAKES, ids=lambda kind: kind.name)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=requests())
def test_no_body_of_a_message_finds_a_fault_of_the_router(
    shooting: Range, kind: Kind, request: tuple[str, bytes]
) -> None:
    path, body = request
    check(shooting.ask(path, body, kind=kind), path)


@pytest.mark.parametrize("kind", FAKES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("path", [MESSAGES, COUNT])
@pytest.mark.parametrize("base", BODIES, ids=lambda base: ",".join(base)[:40])
def test_the_bodies_that_are_mutated_make_sense(shooting: Range, kind: Kind, path: str, base: dict[str, Any]) -> None:
    response = shooting.ask(path, json.dumps({"model": "m", **base}).encode(), kind=kind)
    assert response.status_code in {200, 400}
    check(response, path)


def test_nothing_is_left_over(shooting: Range) -> None:
    shooting.settle()

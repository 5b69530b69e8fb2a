"""Where a request goes among equals, and what the router says of it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from router.routing.catalog import Target
from tests.fakes import FakeBackend, FakeModel, Faults
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, HELLO, alias, asked, backends, error_of, streamed, take_down

pytestmark = pytest.mark.anyio

EXPLAIN = "/v1/router/explain"
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
PIXEL = "data:image/png;base64,iVBORw0KGgo="
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}]


def holding(*loaded: str) -> list[FakeModel]:
    """Two models, of which these are loaded."""
    return [FakeModel(f"{name}:latest", ("completion",), loaded=name in loaded) for name in ("big", "small")]


@dataclass(frozen=True)
class Boxes:
    """Two Ollamas with the same models, and an alias `chat` that takes the better one for `big`."""

    r: RunningRouter
    left: FakeBackend
    right: FakeBackend

    @property
    def both(self) -> tuple[FakeBackend, FakeBackend]:
        return self.left, self.right

    async def explained(self, model: str = "chat", **fields: Any) -> dict[str, Any]:
        response = await self.r.client.post(EXPLAIN, json=asked(model, **fields))
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
async def boxes(anyio_backend) -> AsyncIterator[Boxes]:
    async with (
        FakeBackend(holding("small"), reply="left") as left,
        FakeBackend(holding("big"), reply="right") as right,
        running(
            {
                "backends": backends({"left": left, "right": right}),
                "models": alias("chat", "left/big", "right/big", strategy="score"),
            }
        ) as r,
    ):
        yield Boxes(r, left, right)


@pytest.mark.parametrize(("model", "served"), [("chat", "right"), ("big", "right"), ("small", "left")])
async def test_the_backend_that_has_the_model_loaded_is_taken(boxes, model, served):
    for _ in range(3):
        answer = await streamed(boxes.r.client, model)
        assert answer.text == served
    assert answer.headers["x-turnout-reason"].endswith("loaded")


async def test_a_model_that_was_just_served_is_loaded_without_a_look(boxes):
    await streamed(boxes.r.client, "left/big")
    told = {each["backend"]: each["loaded"] for each in (await boxes.explained())["candidates"]}
    assert told == {"left": True, "right": True}
    listed = (await boxes.r.client.get("/v1/models/left/big")).json()["turnout"]
    assert (listed["loaded"], boxes.left.models[0].loaded) == (True, False)


async def test_a_glance_sees_what_had_to_go(boxes):
    await streamed(boxes.r.client, "right/small")
    boxes.right.models = holding("small")
    await boxes.r.router.prober.glance("right")
    told = {each["backend"]: each["loaded"] for each in (await boxes.explained())["candidates"]}
    assert told["right"] is False


async def test_a_backend_that_nobody_used_is_not_glanced_at(boxes):
    before = len(boxes.left.probes)
    await boxes.r.router.prober.glance("left")
    assert len(boxes.left.probes) == before


async def test_a_glance_that_fails_changes_nothing(boxes):
    await streamed(boxes.r.client, "right/big")
    boxes.right.faults = Faults(health="fail")
    await boxes.r.router.prober.glance("right")
    assert (await boxes.explained())["candidates"][0]["backend"] == "right"


async def test_a_conversation_stays_with_its_backend_and_moves_when_that_dies(boxes):
    for box in boxes.both:
        box.models = holding("big")
    await boxes.r.looked()
    first = await streamed(boxes.r.client, "chat")
    turns = [*HELLO, {"role": "assistant", "content": first.text}, {"role": "user", "content": "and then?"}]
    for _ in range(5):
        answer = await boxes.r.client.post(CHAT, json={"model": "chat", "messages": turns})
        assert answer.headers["x-turnout-backend"] == first.text
        assert answer.headers["x-turnout-reason"] == "alias chat, loaded, knows conversation"
    other = {"left": "right", "right": "left"}[first.text]
    await getattr(boxes, first.text).stop()
    answer = await boxes.r.client.post(CHAT, json={"model": "chat", "messages": turns})
    assert (answer.status_code, answer.headers["x-turnout-backend"]) == (200, other)
    assert answer.headers["x-turnout-reason"] == f"alias chat, {first.text} failed"
    turns += [{"role": "assistant", "content": other}, {"role": "user", "content": "go on"}]
    told = await boxes.explained(messages=turns)
    assert (told["candidates"][0]["backend"], told["candidates"][0]["parts"]["conversation"]) == (other, 30.0)


async def test_a_reason_is_told_with_an_error_too(boxes):
    for box in boxes.both:
        box.faults = Faults(status=500)
    response = await boxes.r.client.post(CHAT, json=asked("chat"))
    assert response.status_code == 502
    assert response.headers["x-turnout-reason"] == "alias chat, left failed"


async def test_an_explanation_shows_every_part_and_sends_nothing(boxes):
    seen = [len(box.probes) for box in boxes.both]
    told = await boxes.explained()
    assert (told["model"], told["strategy"], told["reason"]) == ("chat", "score", "alias chat, loaded")
    first, second = told["candidates"]
    assert (first["backend"], first["model"], first["state"], first["order"]) == ("right", "big", "ready", 1)
    assert first["parts"] == {"loaded": 40, "conversation": 0, "slots": 20, "speed": 10, "weight": 0}
    assert (first["score"], second["score"]) == (70, 30)
    assert [box.requests for box in boxes.both] == [[], []]
    assert [len(box.probes) for box in boxes.both] == seen


async def test_an_explanation_teaches_the_router_nothing(boxes):
    turns = [*HELLO, {"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]
    for _ in range(2):
        told = await boxes.explained(messages=turns)
        assert [each["parts"]["conversation"] for each in told["candidates"]] == [0, 0]


async def test_an_explanation_of_a_backend_that_is_down_says_so(boxes):
    await take_down(boxes.r, "right")
    told = (await boxes.explained())["candidates"]
    assert [(each["backend"], each["state"], each["note"]) for each in told] == [
        ("left", "ready", ""),
        ("right", "down", "made to fail"),
    ]


async def test_an_explanation_knows_the_task_of_the_header(boxes):
    config = {
        "backends": backends({"left": boxes.left, "right": boxes.right}),
        "models": {**alias("a", "left/big"), **alias("b", "right/big")},
        "routing": {"tasks": {"code": "b"}},
    }
    async with running(config) as r:
        response = await r.client.post(EXPLAIN, json=asked("auto"), headers={"X-Turnout-Task": "code"})
    told = response.json()
    assert (told["chosen_by"], told["strategy"]) == ("task code", "ordered")
    assert [(each["backend"], each["parts"]) for each in told["candidates"]] == [("right", None)]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (asked("nobody"), 404, "model_not_found"),
        ({"model": "chat"}, 400, None),
        (b"{", 400, "invalid_json"),
    ],
)
async def test_an_explanation_fails_as_the_request_would(boxes, body, status, code):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answers = [await boxes.r.client.post(path, content=content) for path in (EXPLAIN, CHAT)]
    assert [answer.status_code for answer in answers] == [status, status]
    told, meant = (error_of(answer) for answer in answers)
    assert told == meant
    assert code in {None, told["code"]}


async def test_an_explanation_asks_for_a_key_like_every_route(boxes):
    config = {"backends": backends({"left": boxes.left}), "auth": {"api_keys": ["a-key-of-mine"]}}
    async with running(config) as r:
        assert (await r.client.post(EXPLAIN, json=asked("big"))).status_code == 401


@pytest.mark.parametrize(
    ("capability", "fields", "missing"),
    [("tools", {"tools": TOOLS}, "tools"), ("vision", {"messages": IMAGE}, "vision")],
)
@pytest.mark.parametrize("strategy", ["ordered", "score"])
async def test_what_a_model_cannot_do_goes_to_one_that_can(boxes, strategy, capability, fields, missing):
    boxes.left.models = [replace(boxes.left.models[0], capabilities=("completion", capability))]
    config = {
        "backends": backends({"right": boxes.right, "left": boxes.left}),
        "models": alias("chat", "right/big", "left/big", strategy=strategy),
    }
    async with running(config) as r:
        response = await r.client.post(CHAT, json={**asked("chat"), **fields})
        told = (await r.client.post(EXPLAIN, json={**asked("chat"), **fields})).json()
    assert (response.status_code, response.headers["x-turnout-backend"]) == (200, "left")
    assert response.headers["x-turnout-attempts"] == "1"
    assert boxes.right.requests == []
    assert told["rejected"] == [{"backend": "right", "model": "big", "why": f"cannot do {missing}"}]


async def test_when_nobody_can_the_backends_own_words_are_the_answer(boxes):
    response = await boxes.r.client.post(CHAT, json=asked("chat", tools=TOOLS))
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "tools")
    assert response.headers["x-turnout-attempts"] == "2"


@pytest.fixture
async def mixed(anyio_backend) -> AsyncIterator[tuple[RunningRouter, FakeBackend, FakeBackend]]:
    """A local backend and Claude behind one alias that must stay here, and one that is Claude's alone."""
    async with FakeBackend(flavour="openai") as here, FakeBackend(flavour="claude") as claude:
        config = {
            "backends": {
                "here": {"type": "openai", "url": here.url},
                "claude": {"type": "claude", "url": claude.url, "api_key": "sk-of-the-router"},
            },
            "models": {
                **alias("mine", "claude/claude-sonnet-5", "here/fake-chat", local_only=True),
                **alias("best", "claude/claude-sonnet-5", "here/fake-chat", local_only=True, strategy="score"),
                **alias("away", "claude/claude-sonnet-5"),
            },
        }
        async with running(config) as r:
            yield r, here, claude


@pytest.mark.parametrize("model", ["mine", "best"])
async def test_local_only_never_reaches_a_hosted_backend_whatever_fails(mixed, model):
    r, here, claude = mixed
    assert (await r.client.post(CHAT, json=asked(model))).status_code == 200
    for faults, status in ((Faults(status=500), 502), (Faults(status=429), 429), (Faults(status=503), 503)):
        here.faults = faults
        for stream in (False, True):
            assert (await r.client.post(CHAT, json=asked(model, stream=stream))).status_code == status
    await here.stop()
    response = await r.client.post(CHAT, json=asked(model, tools=TOOLS))
    assert (response.status_code, error_of(response)["code"]) == (502, "backend_unreachable")
    await r.looked()
    assert (await r.client.post(CHAT, json=asked(model))).status_code == 502
    assert (claude.requests, claude.probes) == ([], [])


async def test_local_only_without_anything_local_is_refused(mixed):
    r, _, claude = mixed
    catalog = r.router.fleet.catalog
    catalog.aliases["away"] = replace(catalog.aliases["away"], local_only=True)
    for path in (CHAT, EXPLAIN):
        response = await r.client.post(path, json=asked("away"))
        assert (response.status_code, error_of(response)["code"]) == (403, "local_only")
    assert claude.requests == []


async def test_a_server_of_ones_own_that_passes_requests_on_is_not_local_when_told_so(anyio_backend):
    async with FakeBackend(flavour="openai") as relay, FakeBackend(flavour="openai") as desk:
        config = {
            "backends": {
                "relay": {"type": "openai", "url": relay.url, "local": False},
                "desk": {"type": "openai", "url": desk.url},
            },
            "models": alias("a", "relay/fake-chat", "desk/fake-chat", local_only=True),
        }
        async with running(config) as r:
            response = await r.client.post(CHAT, json=asked("a"))
    assert response.headers["x-turnout-backend"] == "desk"
    assert relay.requests == []


async def test_a_pool_in_the_list_says_whom_it_chooses_from(boxes):
    told = (await boxes.r.client.get("/v1/models/big")).json()["turnout"]
    assert (told["strategy"], told["targets"]) == ("score", ["left/big:latest", "right/big:latest"])
    told = (await boxes.r.client.get("/v1/models/chat")).json()["turnout"]
    assert (told["strategy"], told["loaded"]) == ("score", True)


async def test_speed_is_learned_from_streams(boxes):
    for box in boxes.both:
        box.models = holding("big")
    boxes.left.faults = Faults(first_byte_delay_s=0.05)
    await boxes.r.looked()
    for name in ("left", "right"):
        await streamed(boxes.r.client, f"{name}/big")
    told = {each["backend"]: each["parts"]["speed"] for each in (await boxes.explained())["candidates"]}
    assert told["right"] == 10.0
    assert told["left"] < 8.0


async def test_the_time_of_a_load_is_not_taken_for_slowness(boxes):
    boxes.left.faults = Faults(first_byte_delay_s=0.05)
    for name in ("left", "right"):
        await streamed(boxes.r.client, f"{name}/big")
    speeds = boxes.r.router.fleet.experience.speeds
    assert speeds.of(Target("left", "big")) is None
    assert speeds.of(Target("right", "big")).first_token_s.value > 0

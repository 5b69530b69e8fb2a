"""`/v1/router/explain`: where a chat request would go and why, without sending it anywhere."""

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from router.access.principal import Scope
from router.dialects import openai_chat
from router.relay.relay import Relay
from router.routing.plan import Candidate, Plan
from router.routing.wanted import wanted_by
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.headers import task_named

STATES = ("ready", "on trial", "loading", "down")
"""A candidate's readiness in words, in its order."""


class Considered(Struct):
    """A candidate; `score` is the sum of its `parts`, where candidates are scored."""

    order: int
    backend: str
    model: str
    state: str
    note: str
    loaded: bool | None
    score: float | None
    parts: dict[str, float] | None


class Ruled(Struct):
    """A target that is out of question, and the constraint that it failed."""

    backend: str
    model: str
    why: str


class Explanation(Struct):
    """`strategy` is ordered or score; `reason` is what an answer would say."""

    model: str
    chosen_by: str
    reason: str
    strategy: str
    candidates: list[Considered]
    rejected: list[Ruled]
    object: str = "router.explanation"


def explain_routes(relay: Relay, *, max_body_bytes: int) -> list[HTTPRouteHandler]:
    """Takes what the chat route takes, and fails where planning would make that fail."""

    @post("/v1/router/explain", status_code=200, include_in_schema=False)
    async def explain(request: Request[Any, Any, Any]) -> Response[bytes]:
        asked = openai_chat.parse_request(await read_body(request.scope, request.receive, max_body_bytes))
        wanted = wanted_by(asked, task=task_named(request.scope), caller=caller_of(request.scope, Scope.CHAT))
        body = msgspec.json.encode(explained(asked.model, await relay.foreseen(asked, wanted)))
        return Response(body, media_type="application/json")

    return [explain]


def explained(model: str, chosen: Plan) -> Explanation:
    """A plan as people read it."""
    return Explanation(
        model,
        chosen.chosen_by,
        chosen.reason,
        "score" if chosen.pooled else "ordered",
        [_considered(order, candidate) for order, candidate in enumerate(chosen.candidates, 1)],
        [Ruled(gone.target.backend, gone.target.model, gone.why) for gone in chosen.rejected],
    )


def _considered(order: int, candidate: Candidate) -> Considered:
    score = candidate.score
    return Considered(
        order=order,
        backend=candidate.target.backend,
        model=candidate.target.model,
        state=STATES[candidate.readiness.value],
        note=candidate.note,
        loaded=candidate.resident,
        score=None if score is None else score.total,
        parts=None if score is None else score.parts,
    )

"""`/v1/completions`."""

from typing import Any

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from router.admission.priority import of_completion
from router.canonical.completion import CompletionRequest
from router.dialects import openai_completions
from router.routing.catalog import Catalog
from router.routing.wanted import wanted_by
from router.surfaces.answering import Answering
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.generate import TASK_HEADER
from router.surfaces.headers import header
from router.surfaces.recording import entry_of

CODE = "code"


def completion_routes(answering: Answering, *, max_body_bytes: int) -> list[HTTPRouteHandler]:
    """The route of text completions, with and without the `/v1` that some clients leave out."""
    catalog = answering.relay.fleet.catalog

    @post(["/v1/completions", "/completions"], status_code=200, include_in_schema=False)
    async def completions(request: Request[Any, Any, Any]) -> ASGIApp:
        entry_of(request.scope).operation = "completions"
        caller = caller_of(request.scope)
        asked = openai_completions.parse_request(await read_body(request, max_body_bytes))
        wanted = wanted_by(
            asked,
            task=header(request.scope, TASK_HEADER) or _task(asked, catalog),
            caller=caller,
            looks=of_completion(stream=asked.stream, infills=asked.infills),
        )
        encoder = openai_completions.Encoder(
            model=asked.model, include_usage=asked.include_usage, top_logprobs=asked.top_logprobs or 0
        )
        return answering.answer(asked, wanted, encoder)

    return [completions]


def _task(asked: CompletionRequest, catalog: Catalog) -> str | None:
    """A gap in a text is one in code, where there is a model for that."""
    if asked.task or not asked.infills:
        return asked.task
    return CODE if CODE in catalog.tasks or catalog.tagged(CODE) else None

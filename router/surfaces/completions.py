"""`/v1/completions`."""

from litestar.types import ASGIApp, Receive, Scope

from router.admission.priority import of_completion
from router.canonical.completion import CompletionRequest
from router.dialects import openai_completions
from router.routing.catalog import Catalog
from router.routing.wanted import wanted_by
from router.surfaces.answering import Answering
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.direct import Endpoint
from router.surfaces.generate import TASK_HEADER
from router.surfaces.headers import header
from router.surfaces.recording import entry_of

CODE = "code"


def completion_endpoint(answering: Answering, *, max_body_bytes: int) -> Endpoint:
    """What a text completion is answered with."""
    catalog = answering.relay.fleet.catalog

    async def complete(scope: Scope, receive: Receive) -> ASGIApp:
        entry_of(scope).operation = "completions"
        caller = caller_of(scope)
        asked = openai_completions.parse_request(await read_body(scope, receive, max_body_bytes))
        wanted = wanted_by(
            asked,
            task=header(scope, TASK_HEADER) or _task(asked, catalog),
            caller=caller,
            looks=of_completion(stream=asked.stream, infills=asked.infills),
        )
        encoder = openai_completions.Encoder(
            model=asked.model, include_usage=asked.include_usage, top_logprobs=asked.top_logprobs or 0
        )
        return answering.answer(asked, wanted, encoder)

    return complete


def _task(asked: CompletionRequest, catalog: Catalog) -> str | None:
    """A gap in a text is one in code, where there is a model for that."""
    if asked.task or not asked.infills:
        return asked.task
    return CODE if CODE in catalog.tasks or catalog.tagged(CODE) else None

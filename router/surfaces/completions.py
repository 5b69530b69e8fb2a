"""`/v1/completions`."""

from functools import partial

from litestar.types import ASGIApp, Receive, Scope

from router.access.principal import Scope as Ability
from router.admission.priority import of_completion
from router.canonical.completion import CompletionRequest
from router.dialects import openai_completions
from router.routing.catalog import Catalog
from router.routing.wanted import CODE, wanted_by
from router.surfaces.answering import Answering
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.direct import Endpoint
from router.surfaces.headers import task_named
from router.surfaces.recording import entry_of
from router.usage.prompt import tokens_wanted


def completion_endpoint(answering: Answering, *, max_body_bytes: int) -> Endpoint:
    """What a text completion is answered with."""
    fleet = answering.relay.fleet

    async def complete(scope: Scope, receive: Receive) -> ASGIApp:
        entry = entry_of(scope)
        entry.operation = "completions"
        caller = caller_of(scope, Ability.CHAT)
        asked = openai_completions.parse_request(await read_body(scope, receive, max_body_bytes))
        entry.takes(partial(tokens_wanted, asked))
        wanted = wanted_by(
            asked,
            task=task_named(scope) or _task(asked, fleet.catalog),
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

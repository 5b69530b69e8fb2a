"""`/v1/chat/completions`."""

from functools import partial
from typing import Any

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from router.access.principal import Scope
from router.admission.priority import of_chat
from router.dialects import openai_chat
from router.routing.wanted import wanted_by
from router.surfaces.answering import Answering
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.headers import header
from router.surfaces.recording import entry_of
from router.usage.prompt import tokens_wanted

TASK_HEADER = b"x-turnout-task"


def chat_routes(answering: Answering, *, max_body_bytes: int) -> list[HTTPRouteHandler]:
    """The chat route, with and without the `/v1` that some clients leave out."""

    @post(["/v1/chat/completions", "/chat/completions"], status_code=200, include_in_schema=False)
    async def chat(request: Request[Any, Any, Any]) -> ASGIApp:
        entry_of(request.scope).operation = "chat"
        caller = caller_of(request.scope, Scope.CHAT)
        body = await read_body(request, max_body_bytes)
        asked = openai_chat.parse_request(body)
        entry_of(request.scope).takes(partial(tokens_wanted, asked))
        wanted = wanted_by(
            asked, task=header(request.scope, TASK_HEADER), caller=caller, looks=of_chat(stream=asked.stream)
        )
        encoder = openai_chat.Encoder(model=asked.model, include_usage=asked.include_usage)
        return answering.answer(asked, wanted, encoder)

    return [chat]

"""`/v1/chat/completions`."""

from typing import Any

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from router.admission.priority import of_chat
from router.dialects import openai_chat
from router.routing.wanted import wanted_by
from router.surfaces.answering import Answering
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.chat_body import parse_chat
from router.surfaces.headers import header
from router.surfaces.recording import entry_of

TASK_HEADER = b"x-turnout-task"


def chat_routes(answering: Answering, *, max_body_bytes: int) -> list[HTTPRouteHandler]:
    """The chat route, with and without the `/v1` that some clients leave out."""

    @post(["/v1/chat/completions", "/chat/completions"], status_code=200, include_in_schema=False)
    async def chat(request: Request[Any, Any, Any]) -> ASGIApp:
        entry_of(request.scope).operation = "chat"
        caller = caller_of(request.scope)
        body = await read_body(request, max_body_bytes)
        asked = parse_chat(body)
        wanted = wanted_by(
            asked, task=header(request.scope, TASK_HEADER), caller=caller, looks=of_chat(stream=asked.stream)
        )
        encoder = openai_chat.Encoder(model=asked.model, include_usage=asked.include_usage)
        return answering.answer(asked, wanted, encoder)

    return [chat]

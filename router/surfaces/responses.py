"""`/v1/responses`, and how many tokens a request to it would be."""

from functools import partial
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from router.admission.priority import of_chat
from router.auth import Principal
from router.dialects import openai_responses
from router.relay.progress import Progress
from router.routing.wanted import wanted_by
from router.surfaces.answering import Answering
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.conversations import Conversations, Own
from router.surfaces.generate import TASK_HEADER
from router.surfaces.headers import explaining, header
from router.surfaces.recording import entry_of
from router.surfaces.watch import Watch


def response_routes(
    answering: Answering, conversations: Conversations, *, max_body_bytes: int
) -> list[HTTPRouteHandler]:
    """Both routes, with and without the `/v1` that some clients leave out."""

    @post(["/v1/responses", "/responses"], status_code=200, include_in_schema=False)
    async def respond(request: Request[Any, Any, Any]) -> ASGIApp:
        entry_of(request.scope).operation = "chat"
        caller = caller_of(request.scope)
        own = _own(conversations, request)
        asked = openai_responses.parse_request(await read_body(request, max_body_bytes), own)
        task, looks = header(request.scope, TASK_HEADER), of_chat(stream=asked.chat.stream)
        wanted = wanted_by(asked.chat, task=task, caller=caller, looks=looks)
        encoder = openai_responses.Encoder(asked, partial(own.keep, asked))
        return answering.answer(asked.chat, wanted, encoder)

    @post(["/v1/responses/input_tokens", "/responses/input_tokens"], status_code=200, include_in_schema=False)
    async def count(request: Request[Any, Any, Any]) -> Response[bytes]:
        progress = request.scope["state"]["progress"] = Progress()
        caller = caller_of(request.scope)
        own = _own(conversations, request)
        asked = openai_responses.parse_request(await read_body(request, max_body_bytes), own)
        wanted = wanted_by(asked.chat, task=header(request.scope, TASK_HEADER), caller=caller)
        async with Watch(request.receive):
            tokens = await answering.relay.prompt_tokens(asked.chat, wanted, progress)
        body = msgspec.json.encode({"object": "response.input_tokens", "input_tokens": tokens})
        headers = {name.decode(): value.decode() for name, value in explaining(progress)}
        return Response(body, media_type="application/json", headers=headers)

    return [respond, count]


def _own(conversations: Conversations, request: Request[Any, Any, Any]) -> Own:
    principal: Principal = request.scope["state"]["principal"]
    return conversations.of(principal.key_id)

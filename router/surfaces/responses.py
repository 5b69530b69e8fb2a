"""`/v1/responses`, and how many tokens a request to it would be."""

from functools import partial
from typing import Any

import msgspec
from litestar import Request, Response, delete, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.types import ASGIApp, Receive, Scope

from router.access.principal import Principal
from router.access.principal import Scope as Ability
from router.admission.priority import of_chat
from router.dialects import openai_responses
from router.dialects.openai_responses import Asked
from router.errors import UnknownResponse, UnsupportedParameter
from router.relay.progress import Progress
from router.relay.relay import Relay
from router.routing.wanted import Wanted, wanted_by
from router.surfaces.answering import Answering
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.conversations import Conversations, Own
from router.surfaces.direct import Endpoint, whole
from router.surfaces.headers import explaining, task_named
from router.surfaces.recording import entry_of
from router.surfaces.watch import Watch
from router.usage.prompt import tokens_wanted


def response_endpoint(answering: Answering, conversations: Conversations, *, max_body_bytes: int) -> Endpoint:
    """What a request of the Responses API is answered with."""

    async def respond(scope: Scope, receive: Receive) -> ASGIApp:
        entry_of(scope).operation = "chat"
        own = own_of(conversations, scope)
        asked, wanted = await _read(scope, receive, own, limit=max_body_bytes)
        entry_of(scope).takes(partial(tokens_wanted, asked.chat))
        return answering.answer(asked.chat, wanted, openai_responses.Encoder(asked, partial(own.keep, asked)))

    return respond


def input_endpoint(relay: Relay, conversations: Conversations, *, max_body_bytes: int) -> Endpoint:
    """How many tokens a request would be."""

    async def count(scope: Scope, receive: Receive) -> ASGIApp:
        progress = scope["state"]["progress"] = Progress()
        asked, wanted = await _read(scope, receive, own_of(conversations, scope), limit=max_body_bytes)
        async with Watch(receive):
            tokens = await relay.prompt_tokens(asked.chat, wanted, progress)
        body = msgspec.json.encode({"object": "response.input_tokens", "input_tokens": tokens})
        return whole(body, explaining(progress))

    return count


async def _read(scope: Scope, receive: Receive, own: Own, *, limit: int) -> tuple[Asked, Wanted]:
    caller = caller_of(scope, Ability.CHAT)
    asked = openai_responses.parse_request(await read_body(scope, receive, limit), own)
    task, looks = task_named(scope), of_chat(stream=asked.chat.stream)
    return asked, wanted_by(asked.chat, task=task, caller=caller, looks=looks)


def kept_routes(conversations: Conversations) -> list[HTTPRouteHandler]:
    """Responses that are kept: looked at and forgotten, by those whose they are."""

    paths = ["/v1/responses/{response_id:str}", "/responses/{response_id:str}"]

    @get(paths, include_in_schema=False)
    async def look(request: Request[Any, Any, Any], response_id: FromPath[str]) -> Response[bytes]:
        if request.query_params.get("stream") == "true":
            raise UnsupportedParameter("streams are not told again here", param="stream")
        found = own_of(conversations, request.scope).response(response_id)
        if found is None:
            raise _unknown(response_id)
        return Response(found, media_type="application/json")

    @delete(paths, status_code=200, include_in_schema=False)
    async def forget(request: Request[Any, Any, Any], response_id: FromPath[str]) -> Response[bytes]:
        if not own_of(conversations, request.scope).forget(response_id):
            raise _unknown(response_id)
        body = msgspec.json.encode({"id": response_id, "object": "response", "deleted": True})
        return Response(body, media_type="application/json")

    return [look, forget]


def _unknown(response_id: str) -> UnknownResponse:
    return UnknownResponse(f"Response with id '{response_id[:100]}' not found.")


def own_of(conversations: Conversations, scope: Scope) -> Own:
    """The responses of the key that a request came with."""
    principal: Principal = scope["state"]["principal"]
    return conversations.of(principal.key_id)

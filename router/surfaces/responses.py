"""`/v1/responses`, and how many tokens a request to it would be."""

from functools import partial

import msgspec
from litestar.types import ASGIApp, Receive, Scope

from router.admission.priority import of_chat
from router.auth import Principal
from router.dialects import openai_responses
from router.dialects.openai_responses import Asked
from router.relay.progress import Progress
from router.relay.relay import Relay
from router.routing.wanted import Wanted, wanted_by
from router.surfaces.answering import Answering
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.conversations import Conversations, Own
from router.surfaces.direct import Endpoint, whole
from router.surfaces.generate import TASK_HEADER
from router.surfaces.headers import explaining, header
from router.surfaces.recording import entry_of
from router.surfaces.watch import Watch


def response_endpoint(answering: Answering, conversations: Conversations, *, max_body_bytes: int) -> Endpoint:
    """What a request of the Responses API is answered with."""

    async def respond(scope: Scope, receive: Receive) -> ASGIApp:
        entry_of(scope).operation = "chat"
        own = own_of(conversations, scope)
        asked, wanted = await _read(scope, receive, own, limit=max_body_bytes)
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
    caller = caller_of(scope)
    asked = openai_responses.parse_request(await read_body(scope, receive, limit), own)
    task, looks = header(scope, TASK_HEADER), of_chat(stream=asked.chat.stream)
    return asked, wanted_by(asked.chat, task=task, caller=caller, looks=looks)


def own_of(conversations: Conversations, scope: Scope) -> Own:
    """The responses of the key that a request came with."""
    principal: Principal = scope["state"]["principal"]
    return conversations.of(principal.key_id)

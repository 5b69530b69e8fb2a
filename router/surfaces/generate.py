"""`/v1/chat/completions`."""

from functools import partial

from litestar.types import ASGIApp, Receive, Scope

from router.access.principal import Scope as Ability
from router.admission.priority import of_chat
from router.dialects import openai_chat
from router.routing.wanted import wanted_by
from router.surfaces.answering import Answering
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.chat_body import parse_chat
from router.surfaces.direct import Endpoint
from router.surfaces.headers import task_named
from router.surfaces.recording import entry_of
from router.usage.prompt import tokens_wanted


def chat_endpoint(answering: Answering, *, max_body_bytes: int) -> Endpoint:
    """What a chat request is answered with."""

    async def chat(scope: Scope, receive: Receive) -> ASGIApp:
        entry = entry_of(scope)
        entry.operation = "chat"
        caller = caller_of(scope, Ability.CHAT)
        asked = parse_chat(await read_body(scope, receive, max_body_bytes))
        entry.takes(partial(tokens_wanted, asked))
        wanted = wanted_by(asked, task=task_named(scope), caller=caller, looks=of_chat(stream=asked.stream))
        encoder = openai_chat.Encoder(model=asked.model, include_usage=asked.include_usage)
        return answering.answer(asked, wanted, encoder)

    return chat

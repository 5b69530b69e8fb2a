"""`/v1/messages` and `/v1/messages/count_tokens`."""

from functools import partial

import msgspec
from litestar.types import ASGIApp, Receive, Scope

from router.access.principal import Scope as Ability
from router.admission.priority import of_chat
from router.canonical.request import ChatRequest
from router.dialects import anthropic_messages
from router.relay.progress import Progress
from router.relay.relay import Relay
from router.routing.wanted import Wanted, wanted_by
from router.surfaces.answering import Answering
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.direct import Endpoint, whole
from router.surfaces.headers import explaining, task_named
from router.surfaces.manner import VERSION_HEADER
from router.surfaces.recording import entry_of
from router.surfaces.watch import Watch
from router.usage.prompt import tokens_wanted

BETA_HEADER = b"anthropic-beta"
MAX_HEADER = 2_000


def message_endpoint(answering: Answering, *, max_body_bytes: int) -> Endpoint:
    """What Anthropic's clients are answered with; what else their queries say is for Anthropic alone."""

    async def messages(scope: Scope, receive: Receive) -> ASGIApp:
        entry_of(scope).operation = "chat"
        asked, wanted = await _read(scope, receive, max_body_bytes)
        entry_of(scope).takes(partial(tokens_wanted, asked))
        return answering.answer(asked, wanted, anthropic_messages.Encoder(model=asked.model))

    return messages


def count_endpoint(relay: Relay, *, max_body_bytes: int) -> Endpoint:
    """How many tokens a message would be."""

    async def count_tokens(scope: Scope, receive: Receive) -> ASGIApp:
        progress = scope["state"]["progress"] = Progress()
        asked, wanted = await _read(scope, receive, max_body_bytes)
        async with Watch(receive):
            tokens = await relay.prompt_tokens(asked, wanted, progress)
        return whole(msgspec.json.encode({"input_tokens": tokens}), explaining(progress))

    return count_tokens


async def _read(scope: Scope, receive: Receive, limit: int) -> tuple[ChatRequest, Wanted]:
    caller = caller_of(scope, Ability.CHAT)
    asked = anthropic_messages.parse_request(await read_body(scope, receive, limit), _own_headers(scope))
    task = task_named(scope)
    return asked, wanted_by(asked, task=task, caller=caller, looks=of_chat(stream=asked.stream))


def _own_headers(scope: Scope) -> dict[str, str]:
    """Which version of the format a client speaks, and which experiments it takes part in."""
    told: dict[str, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1").strip()
        if name in {VERSION_HEADER, BETA_HEADER} and text.isascii() and text.isprintable() and len(text) <= MAX_HEADER:
            known = told.get(name.decode())
            told[name.decode()] = f"{known},{text}" if known and text else text or known or ""
    return {name: text for name, text in told.items() if text}

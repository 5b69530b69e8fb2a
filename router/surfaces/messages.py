"""`/v1/messages` and `/v1/messages/count_tokens`."""

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Scope

from router.admission.priority import of_chat
from router.canonical.request import ChatRequest
from router.dialects import anthropic_messages
from router.relay.progress import Progress
from router.relay.relay import Relay
from router.routing.wanted import Wanted, wanted_by
from router.surfaces.answering import Answering
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.generate import TASK_HEADER
from router.surfaces.headers import explaining, header
from router.surfaces.manner import VERSION_HEADER
from router.surfaces.recording import entry_of
from router.surfaces.watch import Watch

BETA_HEADER = b"anthropic-beta"
MAX_HEADER = 2_000


def message_routes(answering: Answering, relay: Relay, *, max_body_bytes: int) -> list[HTTPRouteHandler]:
    """The routes of Anthropic's clients; what else their queries say is for Anthropic alone."""

    async def read(request: Request[Any, Any, Any]) -> tuple[ChatRequest, Wanted]:
        caller = caller_of(request.scope)
        body = await read_body(request, max_body_bytes)
        asked = anthropic_messages.parse_request(body, _own_headers(request.scope))
        task = header(request.scope, TASK_HEADER)
        return asked, wanted_by(asked, task=task, caller=caller, looks=of_chat(stream=asked.stream))

    @post(["/v1/messages", "/messages"], status_code=200, include_in_schema=False)
    async def messages(request: Request[Any, Any, Any]) -> ASGIApp:
        entry_of(request.scope).operation = "chat"
        asked, wanted = await read(request)
        return answering.answer(asked, wanted, anthropic_messages.Encoder(model=asked.model))

    @post(["/v1/messages/count_tokens", "/messages/count_tokens"], status_code=200, include_in_schema=False)
    async def count_tokens(request: Request[Any, Any, Any]) -> Response[bytes]:
        progress = request.scope["state"]["progress"] = Progress()
        asked, wanted = await read(request)
        async with Watch(request.receive):
            tokens = await relay.prompt_tokens(asked, wanted, progress)
        headers = {name.decode(): value.decode() for name, value in explaining(progress)}
        body = msgspec.json.encode({"input_tokens": tokens})
        return Response(body, media_type="application/json", headers=headers)

    return [messages, count_tokens]


def _own_headers(scope: Scope) -> dict[str, str]:
    """Which version of the format a client speaks, and which experiments it takes part in."""
    told: dict[str, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1").strip()
        if name in {VERSION_HEADER, BETA_HEADER} and text.isascii() and text.isprintable() and len(text) <= MAX_HEADER:
            known = told.get(name.decode())
            told[name.decode()] = f"{known},{text}" if known and text else text or known or ""
    return {name: text for name, text in told.items() if text}

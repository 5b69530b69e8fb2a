"""`/v1/embeddings`."""

from typing import Any

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from router.access.principal import Scope as Ability
from router.admission.priority import of_embedding
from router.canonical.request import EmbedRequest
from router.dialects import openai_embeddings
from router.relay.progress import Progress
from router.relay.relay import Relay
from router.routing.plan import Wanted
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.direct import Endpoint, send_whole
from router.surfaces.drain import Drain
from router.surfaces.generate import TASK_HEADER
from router.surfaces.headers import explaining, header
from router.surfaces.recording import entry_of
from router.surfaces.watch import Watch
from router.usage.tokenizer import Tokenizer, guess

EMBEDDING_PATHS = ["/v1/embeddings", "/embeddings"]
"""With and without the `/v1` that some clients leave out."""
DECODED_WARNING = "token ids were decoded as cl100k_base"


def embedding_endpoint(relay: Relay, drain: Drain, *, max_body_bytes: int) -> Endpoint:
    """What a request for embeddings is answered with."""

    async def embed(scope: Scope, receive: Receive) -> ASGIApp:
        progress = scope["state"]["progress"] = Progress()
        entry = entry_of(scope)
        entry.operation = "embeddings"
        caller = caller_of(scope, Ability.EMBED)
        asked = openai_embeddings.parse_request(await read_body(scope, receive, max_body_bytes))
        entry.takes(lambda: sum(map(guess, asked.inputs)) + sum(map(len, asked.tokens)))
        entry.goes(asked.model, progress)
        wanted = Wanted(
            asked.model,
            task=header(scope, TASK_HEADER) or asked.task,
            embedding=True,
            caller=caller,
            looks=of_embedding(len(asked.inputs) or len(asked.tokens)),
        )
        watch = Watch(receive)
        drain.enter(watch)
        try:
            async with watch:
                asked = await _as_text(asked, progress, relay.tokenizer)
                vectors = await relay.embed(asked, wanted, progress)
        finally:
            drain.leave(watch)
        return _answer(openai_embeddings.render(vectors, model=asked.model, base64=asked.base64), progress)

    return embed


def _answer(body: bytes, progress: Progress) -> ASGIApp:
    async def answer(_: Scope, __: Receive, send: Send) -> None:
        await send_whole(send, body, explaining(progress))

    return answer


def embedding_routes(endpoint: Endpoint) -> list[HTTPRouteHandler]:
    """The embeddings route for whatever does not take the direct way."""

    @post(EMBEDDING_PATHS, status_code=200, include_in_schema=False)
    async def embeddings(request: Request[Any, Any, Any]) -> ASGIApp:
        return await endpoint(request.scope, request.receive)

    return [embeddings]


async def _as_text(asked: EmbedRequest, progress: Progress, tokenizer: Tokenizer) -> EmbedRequest:
    if not asked.tokens:
        return asked
    progress.warning = DECODED_WARNING
    return asked.with_inputs(await tokenizer.decode(asked.tokens))

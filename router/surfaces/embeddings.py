"""`/v1/embeddings`."""

from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from router.access.principal import Scope
from router.admission.priority import of_embedding
from router.canonical.request import EmbedRequest
from router.dialects import openai_embeddings
from router.relay.progress import Progress
from router.relay.relay import Relay
from router.routing.plan import Wanted
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.drain import Drain
from router.surfaces.generate import TASK_HEADER
from router.surfaces.headers import explaining, header
from router.surfaces.recording import entry_of
from router.surfaces.watch import Watch
from router.usage.tokenizer import Tokenizer, guess

DECODED_WARNING = "token ids were decoded as cl100k_base"


def embedding_routes(relay: Relay, drain: Drain, *, max_body_bytes: int) -> list[HTTPRouteHandler]:
    """The embeddings route, with and without the `/v1` that some clients leave out."""

    async def embed(request: Request[Any, Any, Any], progress: Progress) -> bytes:
        entry = entry_of(request.scope)
        entry.operation = "embeddings"
        caller = caller_of(request.scope, Scope.EMBED)
        asked = openai_embeddings.parse_request(await read_body(request, max_body_bytes))
        entry.takes(lambda: sum(map(guess, asked.inputs)) + sum(map(len, asked.tokens)))
        entry.goes(asked.model, progress)
        wanted = Wanted(
            asked.model,
            task=header(request.scope, TASK_HEADER) or asked.task,
            embedding=True,
            caller=caller,
            looks=of_embedding(len(asked.inputs) or len(asked.tokens)),
        )
        watch = Watch(request.receive)
        drain.enter(watch)
        try:
            async with watch:
                asked = await _as_text(asked, progress, relay.tokenizer)
                vectors = await relay.embed(asked, wanted, progress)
        finally:
            drain.leave(watch)
        return openai_embeddings.render(vectors, model=asked.model, base64=asked.base64)

    @post(["/v1/embeddings", "/embeddings"], status_code=200, include_in_schema=False)
    async def embeddings(request: Request[Any, Any, Any]) -> Response[bytes]:
        progress = request.scope["state"]["progress"] = Progress()
        body = await embed(request, progress)
        headers = {name.decode(): value.decode() for name, value in explaining(progress)}
        return Response(body, media_type="application/json", headers=headers)

    return [embeddings]


async def _as_text(asked: EmbedRequest, progress: Progress, tokenizer: Tokenizer) -> EmbedRequest:
    if not asked.tokens:
        return asked
    progress.warning = DECODED_WARNING
    return asked.with_inputs(await tokenizer.decode(asked.tokens))

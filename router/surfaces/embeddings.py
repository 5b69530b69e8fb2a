"""`/v1/embeddings`."""

from litestar.types import ASGIApp, Receive, Scope

from router.admission.priority import of_embedding
from router.canonical.request import EmbedRequest
from router.dialects import openai_embeddings
from router.relay.progress import Progress
from router.relay.relay import Relay
from router.routing.plan import Wanted
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.direct import Endpoint, whole
from router.surfaces.drain import Drain
from router.surfaces.generate import TASK_HEADER
from router.surfaces.headers import explaining, header
from router.surfaces.recording import entry_of
from router.surfaces.watch import Watch
from router.usage.tokenizer import Tokenizer

DECODED_WARNING = "token ids were decoded as cl100k_base"


def embedding_endpoint(relay: Relay, drain: Drain, *, max_body_bytes: int) -> Endpoint:
    """What a request for embeddings is answered with."""

    async def embed(scope: Scope, receive: Receive) -> ASGIApp:
        progress = scope["state"]["progress"] = Progress()
        entry = entry_of(scope)
        entry.operation = "embeddings"
        caller = caller_of(scope)
        asked = openai_embeddings.parse_request(await read_body(scope, receive, max_body_bytes))
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
        return whole(openai_embeddings.render(vectors, model=asked.model, base64=asked.base64), explaining(progress))

    return embed


async def _as_text(asked: EmbedRequest, progress: Progress, tokenizer: Tokenizer) -> EmbedRequest:
    if not asked.tokens:
        return asked
    progress.warning = DECODED_WARNING
    return asked.with_inputs(await tokenizer.decode(asked.tokens))

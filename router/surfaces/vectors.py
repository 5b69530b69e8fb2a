"""Embeddings for any client's format: what is asked is taken off the key, routed, watched and counted."""

from litestar.types import Receive, Scope

from router.admission.priority import of_embedding
from router.canonical.adapter import Vectors
from router.canonical.caller import Caller
from router.canonical.request import EmbedRequest
from router.relay.progress import Progress
from router.relay.relay import Relay
from router.routing.wanted import Wanted
from router.surfaces.drain import Drain
from router.surfaces.headers import task_named
from router.surfaces.recording import entry_of
from router.surfaces.watch import Watch
from router.usage.tokenizer import Tokenizer, guess

DECODED_WARNING = "token ids were decoded as cl100k_base"


async def embedded(
    asked: EmbedRequest, scope: Scope, receive: Receive, *, caller: Caller, relay: Relay, drain: Drain
) -> tuple[Vectors, Progress]:
    """The vectors, and what became of the request. Raises RouterError or ClientLeft."""
    progress = scope["state"]["progress"] = Progress()
    entry = entry_of(scope)
    entry.takes(lambda: sum(map(guess, asked.inputs)) + sum(map(len, asked.tokens)))
    entry.goes(asked.model, progress)
    wanted = Wanted(
        asked.model,
        task=task_named(scope) or asked.task,
        embedding=True,
        caller=caller,
        looks=of_embedding(len(asked.inputs) or len(asked.tokens)),
    )
    async with Watch(receive, drain=drain):
        texts = await _as_text(asked, progress, relay.tokenizer)
        return await relay.embed(texts, wanted, progress), progress


async def _as_text(asked: EmbedRequest, progress: Progress, tokenizer: Tokenizer) -> EmbedRequest:
    if not asked.tokens:
        return asked
    progress.warning = DECODED_WARNING
    return asked.with_inputs(await tokenizer.decode(asked.tokens))

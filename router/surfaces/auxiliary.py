"""`/v1/rerank`, `/tokenize` and `/detokenize`."""

from litestar.types import ASGIApp, Receive, Scope

from router.access.principal import Scope as Ability
from router.canonical.auxiliary import Operation
from router.dialects import llama_auxiliary
from router.relay.progress import Progress
from router.relay.relay import Relay
from router.routing.wanted import Wanted
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.direct import Endpoint, whole
from router.surfaces.drain import Drain
from router.surfaces.headers import explaining
from router.surfaces.recording import entry_of
from router.surfaces.watch import Watch

BYTES_PER_TOKEN = 4
"""About, of a request whose backend counts nothing."""


def auxiliary_endpoint(operation: Operation, *, relay: Relay, drain: Drain, max_body_bytes: int) -> Endpoint:
    """What llama.cpp servers do beside answers and embeddings."""

    async def assist(scope: Scope, receive: Receive) -> ASGIApp:
        progress = scope["state"]["progress"] = Progress()
        entry = entry_of(scope)
        entry.operation = operation
        caller = caller_of(scope, Ability.EMBED if operation == "rerank" else Ability.CHAT)
        body = await read_body(scope, receive, max_body_bytes)
        asked = llama_auxiliary.parse_request(operation, body)
        entry.takes(lambda: len(body) // BYTES_PER_TOKEN)
        entry.goes(asked.model, progress)
        async with Watch(receive, drain=drain):
            answer = await relay.auxiliary(asked, Wanted(asked.model, caller=caller), progress)
        return whole(llama_auxiliary.encode(asked, answer), explaining(progress))

    return assist

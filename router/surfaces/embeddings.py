"""`/v1/embeddings`."""

from litestar.types import ASGIApp, Receive, Scope

from router.access.principal import Scope as Ability
from router.dialects import openai_embeddings
from router.relay.relay import Relay
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.direct import Endpoint, whole
from router.surfaces.drain import Drain
from router.surfaces.headers import explaining
from router.surfaces.recording import entry_of
from router.surfaces.vectors import embedded


def embedding_endpoint(relay: Relay, drain: Drain, *, max_body_bytes: int) -> Endpoint:
    """What a request for embeddings is answered with."""

    async def embed(scope: Scope, receive: Receive) -> ASGIApp:
        entry_of(scope).operation = "embeddings"
        caller = caller_of(scope, Ability.EMBED)
        asked = openai_embeddings.parse_request(await read_body(scope, receive, max_body_bytes))
        vectors, progress = await embedded(asked, scope, receive, caller=caller, relay=relay, drain=drain)
        return whole(openai_embeddings.render(vectors, model=asked.model, base64=asked.base64), explaining(progress))

    return embed

"""`/v1/rerank`, `/tokenize` and `/detokenize`."""

from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from router.canonical.auxiliary import Operation
from router.dialects import llama_auxiliary
from router.relay.progress import Progress
from router.relay.relay import Relay
from router.routing.wanted import Wanted
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.drain import Drain
from router.surfaces.headers import explaining
from router.surfaces.recording import entry_of
from router.surfaces.watch import Watch


def auxiliary_routes(relay: Relay, drain: Drain, *, max_body_bytes: int) -> list[HTTPRouteHandler]:
    """What llama.cpp servers do beside answers and embeddings, with and without `/v1`."""

    async def done(operation: Operation, request: Request[Any, Any, Any]) -> Response[bytes]:
        progress = request.scope["state"]["progress"] = Progress()
        entry = entry_of(request.scope)
        entry.operation = operation
        caller = caller_of(request.scope)
        body = await read_body(request.scope, request.receive, max_body_bytes)
        asked = llama_auxiliary.parse_request(operation, body)
        entry.goes(asked.model, progress)
        watch = Watch(request.receive)
        drain.enter(watch)
        try:
            async with watch:
                answer = await relay.auxiliary(asked, Wanted(asked.model, caller=caller), progress)
        finally:
            drain.leave(watch)
        headers = {name.decode(): value.decode() for name, value in explaining(progress)}
        return Response(llama_auxiliary.encode(asked, answer), media_type="application/json", headers=headers)

    @post(["/v1/rerank", "/rerank", "/v1/reranking", "/reranking"], status_code=200, include_in_schema=False)
    async def rerank(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await done("rerank", request)

    @post(["/tokenize", "/v1/tokenize"], status_code=200, include_in_schema=False)
    async def tokenize(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await done("tokenize", request)

    @post(["/detokenize", "/v1/detokenize"], status_code=200, include_in_schema=False)
    async def detokenize(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await done("detokenize", request)

    return [rerank, tokenize, detokenize]

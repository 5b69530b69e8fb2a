"""`/api/pull`, `/api/create`, `/api/copy`, `/api/delete` and blobs: passed on to one Ollama server."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from litestar import Request, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send, WebSocketReceiveMessage

from router.access.principal import Principal
from router.canonical.adapter import Adapter
from router.canonical.errand import Errand, Errands
from router.canonical.private import private_name
from router.dialects import ollama
from router.errors import InvalidParameter, RouterError, Unauthorized, UnknownBackend
from router.relay.fleet import Fleet
from router.relay.progress import Progress
from router.surfaces.body import pieces, read_body
from router.surfaces.caller import ORIGIN_HEADER
from router.surfaces.door import Door
from router.surfaces.drain import Drain
from router.surfaces.guard import peer_of
from router.surfaces.headers import header
from router.surfaces.recording import entry_of
from router.surfaces.watch import ClientLeft, Watch

BACKEND_HEADER = b"x-turnout-backend"
_DIGEST = re.compile(r"sha256[:-][0-9a-f]{64}")
_POST, _DELETE = [HttpMethod.POST], [HttpMethod.DELETE]
_UPLOAD = [HttpMethod.HEAD, HttpMethod.POST]

Looking = Callable[[str], Awaitable[None]]


def check_may_manage(scope: Scope, door: Door) -> Principal:
    """Where keys are asked, whoever may administer; elsewhere everybody but a page in a browser.

    Raises Unauthorized, ScopeMissing or AddressNotAllowed.
    """
    principal: Principal = scope["state"]["principal"]
    if door.asks:
        door.require_admin(principal, list(scope["headers"]), peer_of(scope))
    elif header(scope, ORIGIN_HEADER):
        raise Unauthorized("managing models takes a key")
    return principal


def management_routes(
    fleet: Fleet, drain: Drain, look: Looking, *, door: Door, max_body_bytes: int
) -> list[HTTPRouteHandler]:
    """Each is streamed to and from the server; `look` looks at one whose models may have changed, before the end."""

    async def passed(request: Request[Any, Any, Any]) -> ASGIApp:
        scope = request.scope
        adapter = manager(fleet, header(scope, BACKEND_HEADER), check_may_manage(scope, door))
        body = await read_body(scope, request.receive, max_body_bytes)
        return _Passed(Errand(scope["method"], scope["path"], body), adapter, drain, look=look)

    @route(["/api/pull", "/api/create", "/api/copy"], http_method=_POST, status_code=200, include_in_schema=False)
    async def change(request: Request[Any, Any, Any]) -> ASGIApp:
        return await passed(request)

    @route("/api/delete", http_method=_DELETE, status_code=200, include_in_schema=False)
    async def delete(request: Request[Any, Any, Any]) -> ASGIApp:
        return await passed(request)

    @route("/api/blobs/{digest:str}", http_method=_UPLOAD, status_code=200, include_in_schema=False)
    async def blob(request: Request[Any, Any, Any], digest: FromPath[str]) -> ASGIApp:
        principal = check_may_manage(request.scope, door)
        if not _DIGEST.fullmatch(digest):
            raise InvalidParameter("invalid digest format", param="digest")
        adapter = manager(fleet, header(request.scope, BACKEND_HEADER), principal)
        errand = Errand(request.scope["method"], f"/api/blobs/{digest}")
        return _Passed(errand, adapter, drain, uploads=errand.method == "POST")

    return [change, delete, blob]


def manager(fleet: Fleet, named: str, who: Principal) -> Adapter:
    """The server that a client names, or the only one whose models can be managed, among those that it may see."""
    seen = {name: fleet.adapters[name] for name in fleet.catalog.backends_of(who.user_id)}
    able = {name: adapter for name, adapter in seen.items() if adapter.manages}
    if named:
        named = private_name(named, who.user_id) if private_name(named, who.user_id) in seen else named
        if named not in seen:
            raise UnknownBackend(f"there is no backend '{named[:200]}'", param="X-Turnout-Backend")
        if named not in able:
            raise InvalidParameter(f"{named} is no Ollama server", param="X-Turnout-Backend")
        return able[named]
    if len(able) == 1:
        return next(iter(able.values()))
    told = f"say which in X-Turnout-Backend: {', '.join(able)}" if able else "there is none"
    raise InvalidParameter(f"models are managed on an Ollama server: {told}", param="X-Turnout-Backend")


class _Passed:
    """The response to one errand; to be called once."""

    def __init__(
        self, errand: Errand, adapter: Adapter, drain: Drain, *, look: Looking | None = None, uploads: bool = False
    ) -> None:
        self._errand = errand
        self._adapter = adapter
        self._drain = drain
        self._look = look
        self._uploads = uploads
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        entry, progress = entry_of(scope), Progress(backend=self._adapter.config.name)
        entry.operation = "manage"
        entry.goes("", progress)
        scope["state"]["progress"] = progress
        try:
            await self._watched(receive)
        except ClientLeft:
            entry.left()
        except RouterError as error:
            if not self._started:
                raise
            entry.failed(error)
            await self._write(ollama.render_error(error) + b"\n", more=False)

    async def _watched(self, receive: Receive) -> None:
        upload = _Upload(receive)
        errand = self._errand
        if self._uploads:
            errand = replace(errand, pieces=upload.pieces())
        else:
            upload.arrived.set()
        async with Watch(upload.receive, drain=self._drain), self._adapter.run(errand) as answer:
            await self._pass_on(answer)

    async def _pass_on(self, answer: Errands) -> None:
        headers = [(b"x-turnout-backend", self._adapter.config.name.encode("ascii", "replace"))]
        if answer.content_type:
            headers.append((b"content-type", answer.content_type))
        self._started = True
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
        while data := await answer.read():
            await self._write(data, more=True)
        if self._look is not None:
            await self._look(self._adapter.config.name)
        await self._write(b"", more=False)

    async def _write(self, body: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


class _Upload:
    """A body that is read while it is passed on; only then can the client be watched for leaving."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.arrived = asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in pieces(self._receive):
            yield piece
        self.arrived.set()

    async def receive(self) -> HTTPReceiveMessage | WebSocketReceiveMessage:
        await self.arrived.wait()
        return await self._receive()

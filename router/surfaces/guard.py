"""What surrounds every route: request ids, API keys, and errors in the client's format."""

import re
from collections.abc import Callable
from random import getrandbits
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from router.auth import Keys, presented_key
from router.errors import BadRequest, InternalError, RouterError, UnknownRoute, WrongMethod
from router.relay.progress import Progress
from router.surfaces.headers import explaining, retrying
from router.surfaces.manner import manner_of
from router.surfaces.recording import Entry, Recorder, entry_of
from router.surfaces.unexpected import log_unexpected
from router.surfaces.watch import ClientLeft

OPEN_PATHS = frozenset({"/health/live", "/health/ready"})
_PLAIN_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class RequestIds:
    """Gives every answer an id, the client's own if it is a plain one, else a new one: `x-request-id`, and more.

    Under that id it is also recorded, whatever becomes of it.
    """

    def __init__(self, app: ASGIApp, recorder: Recorder) -> None:
        self._app = app
        self._recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope["headers"])
        named = [(name, request_id) for name in manner_of(scope).id_headers]
        state = scope.setdefault("state", {})
        entry = state["entry"] = Entry(request_id.decode("ascii"))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
                message["headers"] = [*message["headers"], *named]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except BaseException as error:
            entry.broke(error)
            raise
        finally:
            self._recorder.end(entry, state)


def _request_id(headers: Any) -> bytes:
    for name, value in headers:
        if name == b"x-request-id" and _PLAIN_ID.fullmatch(value):
            return value
    return f"req_{getrandbits(96):024x}".encode()


class Guard:
    """Asks for a key on every path but the two that a supervisor needs. Looks at the raw path only."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            scope["state"]["principal"] = self._keys.principal(presented_key(list(scope["headers"])))
        await self._app(scope, receive, send)


def error_response(request: Request[Any, Any, Any], error: RouterError) -> Response[bytes]:
    """A failure as the route's clients know it."""
    entry, manner = entry_of(request.scope), manner_of(request.scope)
    entry.failed(error)
    progress = request.scope["state"].get("progress", Progress())
    headers = {name.decode(): value.decode() for name, value in (*retrying(error), *explaining(progress))}
    body, status = manner.render_error(error, entry.id), manner.status_of(error)
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    path, method = request.scope["path"], request.scope["method"]
    match error.status_code:
        case 404:
            return error_response(request, UnknownRoute(f"there is no {method} {path[:200]} here"))
        case 405:
            return error_response(request, WrongMethod(f"{path[:200]} does not take {method}"))
        case status if status < 500:
            return error_response(request, BadRequest("the request could not be read"))
        case _:
            return _internal_error(request, error)


def _internal_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log_unexpected(error, request.scope["path"])
    return error_response(request, InternalError("the router failed unexpectedly; its log says more"))


def _client_left(request: Request[Any, Any, Any], _: ClientLeft) -> Response[None]:
    entry_of(request.scope).left()
    return Response(None, status_code=499)


EXCEPTION_HANDLERS: dict[int | type[Exception], Callable[..., Response[Any]]] = {  # pyright: ignore[reportUnknownVariableType] (Litestar's own alias is)
    RouterError: error_response,
    ClientLeft: _client_left,
    HTTPException: _http_error,
    Exception: _internal_error,
}

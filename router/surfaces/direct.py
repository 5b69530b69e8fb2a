"""The busiest routes, without the framework: what its routing and wrapping cost is a fifth of a whole request."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from router.errors import InternalError, RouterError
from router.relay.progress import Progress
from router.surfaces.headers import RawHeaders, explaining, header, retrying
from router.surfaces.manner import manner_of
from router.surfaces.recording import entry_of
from router.surfaces.unexpected import log_unexpected
from router.surfaces.watch import ClientLeft

Endpoint = Callable[[Scope, Receive], Awaitable[ASGIApp]]
"""Reads a request and gives the response to it; raises RouterError or ClientLeft."""


class Direct:
    """Takes each POST to the path of an endpoint there, and to `app` all else, also what browsers send from elsewhere.

    `guard` surrounds an endpoint as the framework's middleware does a route.
    """

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, Endpoint], *, guard: Callable[[ASGIApp], ASGIApp]) -> None:
        self._app = app
        self._routes = {path: guard(as_app(endpoint)) for path, endpoint in endpoints.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None or scope["root_path"] or header(scope, b"origin"):
            await self._app(scope, receive, send)
            return
        try:
            await route(scope, receive, send)
        except RouterError as error:
            await _refuse(error, scope, send)
        except ClientLeft:
            entry_of(scope).left()
            await send_whole(send, b"", [], status=499)
        except Exception as error:  # noqa: BLE001 (the last resort)
            log_unexpected(error, scope["path"])
            await _refuse(InternalError("the router failed unexpectedly; its log says more"), scope, send)


def as_app(endpoint: Endpoint) -> ASGIApp:
    """An endpoint that sends its response itself."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (await endpoint(scope, receive))(scope, receive, send)

    return app


def routes(endpoints: Mapping[str, Endpoint]) -> list[HTTPRouteHandler]:
    """The framework's routes, for whatever does not take the direct way."""
    return [_route(path, endpoint) for path, endpoint in endpoints.items()]


def _route(path: str, endpoint: Endpoint) -> HTTPRouteHandler:
    @post(path, status_code=200, include_in_schema=False)
    async def route(request: Request[Any, Any, Any]) -> ASGIApp:
        return await endpoint(request.scope, request.receive)

    return route


def whole(body: bytes, more: RawHeaders, *, status: int = 200) -> ASGIApp:
    """A response that is already there."""

    async def answer(_: Scope, __: Receive, send: Send) -> None:
        await send_whole(send, body, more, status=status)

    return answer


async def send_whole(send: Send, body: bytes, more: RawHeaders, *, status: int = 200) -> None:
    """A JSON answer at once."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _refuse(error: RouterError, scope: Scope, send: Send) -> None:
    entry, manner = entry_of(scope), manner_of(scope)
    entry.failed(error)
    progress: Progress = scope["state"].get("progress", Progress())
    body, headers = manner.render_error(error, entry.id), [*retrying(error), *explaining(progress)]
    await send_whole(send, body, headers, status=manner.status_of(error))

"""What the controllers of `/api` have in common: what they work on, and who may do what."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from router.access.principal import Principal, Scope
from router.backends.library import Library
from router.errors import Forbidden, NotFound, StorageUnavailable, Unauthorized
from router.relay.fleet import Fleet
from router.storage.live import Storage
from router.surfaces.admin.backend_reports import BackendDesk
from router.surfaces.capture import CaptureBook
from router.surfaces.door import Door
from router.surfaces.drain import Drain
from router.surfaces.guard import peer_of

if TYPE_CHECKING:
    from router.storage.stored import Stored

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Models:
    """What people may do with models, and how those who follow a pull are served."""

    library: Library
    drain: Drain
    keepalive_s: float


@dataclass(frozen=True, slots=True)
class Api:
    """What there is to look at and to change."""

    fleet: Fleet
    door: Door
    storage: Storage | None
    captured: CaptureBook | None
    desk: BackendDesk
    models: Models

    @property
    def stored(self) -> "Stored":
        """The open database; raises StorageUnavailable without one."""
        if self.storage is None:
            raise StorageUnavailable("this router keeps nothing: see database and server.data_dir in its settings")
        return self.storage.stored


def principal_of(connection: Any) -> Principal:
    return connection.scope["state"]["principal"]


def api_of(connection: Any) -> Api:
    return connection.app.state["api"]


def require_admin(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard for routes that change what is everybody's; raises Unauthorized, ScopeMissing, AddressNotAllowed."""
    headers = list(connection.scope["headers"])
    api_of(connection).door.require_admin(principal_of(connection), headers, peer_of(connection.scope))


def require_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard for routes that show what is one's own; raises Unauthorized for callers without a key."""
    if not principal_of(connection).key_id:
        raise Unauthorized("no API key was sent: send it as 'Authorization: Bearer KEY'")


def user_meant(request: AnyRequest, named: str | None) -> str:
    """The id of the user that a request is about: who asks, or for an admin whoever is named.

    Raises Forbidden, NotFound for a key of the settings, which belongs to no user, or what `require_admin` raises.
    """
    principal = principal_of(request)
    if named is None or named == principal.user_id:
        if not principal.user_id:
            raise NotFound("the key belongs to no user: name one with user_id", param="user_id")
        return principal.user_id
    if Scope.ADMIN not in principal.scopes:
        raise Forbidden("that is another user's", param="user_id")
    require_admin(request, request.route_handler)
    return named

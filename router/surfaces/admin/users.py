"""`/api/users` and `/api/allowlist`: who may call, and from where."""

from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from router.access.networks import AllowedNetwork, Allowlist, Grant, parse_network
from router.errors import BadRequest
from router.storage.values import AllowlistEntry, User
from router.surfaces.admin.api import AnyRequest, api_of, require_admin
from router.surfaces.admin.forms import NewNetwork, NewUser, UserChange
from router.surfaces.guard import peer_of


class UsersApi(Controller):
    """Users; who is removed loses keys, preferences and private backends, what was used stays on record."""

    path = "/api/users"
    guards = (require_admin,)
    tags = ("users",)

    @get(summary="Every user by name")
    async def list_users(self, request: AnyRequest) -> list[User]:
        return list(await api_of(request).stored.users.all())

    @post(summary="Add a user")
    async def add_user(self, request: AnyRequest, data: JSONBody[NewUser]) -> User:
        return await api_of(request).stored.users.add(data.name)

    @patch("/{user_id:str}", summary="Switch a user on or off")
    async def change_user(self, request: AnyRequest, user_id: FromPath[str], data: JSONBody[UserChange]) -> User:
        return await api_of(request).stored.users.enable(user_id, enabled=data.enabled)

    @delete("/{user_id:str}", summary="Remove a user")
    async def remove_user(self, request: AnyRequest, user_id: FromPath[str]) -> None:
        await api_of(request).stored.users.remove(user_id)


class NetworkReport(Struct):
    id: str
    network: str
    allows: str
    created_at: float


class AllowlistApi(Controller):
    """Networks that may call without a key, and those that administering is bound to."""

    path = "/api/allowlist"
    guards = (require_admin,)
    tags = ("allowlist",)

    @get(summary="Every network, the oldest first")
    async def list_networks(self, request: AnyRequest) -> list[NetworkReport]:
        return [_network(entry) for entry in await api_of(request).stored.networks.all()]

    @post(summary="Add a network")
    async def add_network(self, request: AnyRequest, data: JSONBody[NewNetwork]) -> NetworkReport:
        networks = api_of(request).stored.networks
        allowed = AllowedNetwork(parse_network(data.network), Grant(data.allows))
        _refuse_to_shut_out(request, allowed, [entry.allowed for entry in await networks.all()])
        return _network(await networks.add(allowed))

    @delete("/{entry_id:str}", summary="Remove a network")
    async def remove_network(self, request: AnyRequest, entry_id: FromPath[str]) -> None:
        await api_of(request).stored.networks.remove(entry_id)


def _refuse_to_shut_out(request: AnyRequest, allowed: AllowedNetwork, others: list[AllowedNetwork]) -> None:
    """Whoever binds administering to networks must be in one of them."""
    where = api_of(request).door.address(list(request.scope["headers"]), peer_of(request.scope))
    if allowed.grant is Grant.ADMIN and not Allowlist([allowed, *others]).may_administer(where):
        raise BadRequest("this would shut you out: add your own network first", param="network")


def _network(entry: AllowlistEntry) -> NetworkReport:
    return NetworkReport(entry.id, str(entry.allowed.network), entry.allowed.grant.value, entry.created_at)

"""`/api/keys` and `/api/me`: API keys, never shown but when they are made."""

from litestar import Controller, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from router.access.principal import Allowance, Scope
from router.errors import NotFound
from router.storage.values import ApiKey, KeyTerms
from router.surfaces.admin.api import AnyRequest, api_of, principal_of, require_admin, require_key
from router.surfaces.admin.forms import NewKey


class KeyReport(Struct):
    """A key by its first letters; times are seconds since 1970."""

    id: str
    user_id: str
    prefix: str
    name: str
    scopes: list[str]
    models: list[str] | None
    priority: str | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    created_at: float
    expires_at: float | None
    revoked_at: float | None


class MadeKey(Struct):
    """The only answer that ever holds the key itself."""

    id: str
    key: str
    prefix: str


class Myself(Struct):
    """Whoever asks."""

    key_id: str
    user_id: str
    name: str
    scopes: list[str]
    models: list[str] | None


class KeysApi(Controller):
    """A user sees and may revoke keys of his own, an admin all."""

    path = "/api/keys"
    guards = (require_key,)
    tags = ("keys",)

    @get(summary="Keys, one's own or for an admin everybody's")
    async def list_keys(self, request: AnyRequest, user_id: FromQuery[str | None] = None) -> list[KeyReport]:
        principal = principal_of(request)
        if Scope.ADMIN in principal.scopes:
            require_admin(request, request.route_handler)
            found = await api_of(request).stored.keys.all(user_id)
        elif not principal.user_id or user_id not in {None, principal.user_id}:
            found = ()
        else:
            found = await api_of(request).stored.keys.all(principal.user_id)
        return [_report(key) for key in found]

    @post(summary="Make a key; its text is in this answer only", guards=[require_admin])
    async def make_key(self, request: AnyRequest, data: JSONBody[NewKey]) -> MadeKey:
        made = await api_of(request).stored.keys.create(data.user_id, _terms(data))
        return MadeKey(made.id, made.secret, made.prefix)

    @delete("/{key_id:str}", summary="Revoke a key")
    async def revoke_key(self, request: AnyRequest, key_id: FromPath[str]) -> None:
        principal, keys = principal_of(request), api_of(request).stored.keys
        if Scope.ADMIN in principal.scopes:
            require_admin(request, request.route_handler)
        elif not any(key.id == key_id for key in await keys.all(principal.user_id or "nobody")):
            raise NotFound("there is no such key")
        await keys.revoke(key_id)


class MeApi(Controller):
    path = "/api/me"
    guards = (require_key,)
    tags = ("keys",)

    @get(summary="Who I am")
    async def myself(self, request: AnyRequest) -> Myself:
        me = principal_of(request)
        scopes = sorted(scope.value for scope in me.scopes)
        return Myself(me.key_id, me.user_id, me.user, scopes, None if me.models is None else list(me.models))


def _terms(form: NewKey) -> KeyTerms:
    return KeyTerms(
        name=form.name,
        scopes=frozenset(Scope(scope) for scope in form.scopes),
        models=form.models,
        priority=form.priority or "",
        allowance=Allowance(
            requests_per_minute=form.requests_per_minute,
            tokens_per_minute=form.tokens_per_minute,
            tokens_per_day=form.tokens_per_day,
        ),
        expires_at=form.expires_at,
    )


def _report(key: ApiKey) -> KeyReport:
    terms, allowance = key.terms, key.terms.allowance
    return KeyReport(
        id=key.id,
        user_id=key.user_id,
        prefix=key.prefix,
        name=terms.name,
        scopes=sorted(scope.value for scope in terms.scopes),
        models=None if terms.models is None else list(terms.models),
        priority=terms.priority or None,
        requests_per_minute=allowance.requests_per_minute,
        tokens_per_minute=allowance.tokens_per_minute,
        tokens_per_day=allowance.tokens_per_day,
        created_at=key.created_at,
        expires_at=terms.expires_at,
        revoked_at=key.revoked_at,
    )

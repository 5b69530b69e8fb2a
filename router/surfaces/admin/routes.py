"""All of `/api`."""

from litestar import Response, Router

from router.errors import InvalidJSON
from router.surfaces.admin.api import AnyRequest
from router.surfaces.admin.backends import AliasesApi, BackendsApi
from router.surfaces.admin.keys import KeysApi, MeApi
from router.surfaces.admin.models import ModelsApi, PullsApi
from router.surfaces.admin.own_backends import OwnBackendsApi
from router.surfaces.admin.preferences import PreferencesApi
from router.surfaces.admin.usage import UsageApi
from router.surfaces.admin.users import AllowlistApi, UsersApi
from router.surfaces.guard import error_response


def api_routes() -> Router:
    """The controllers, behind the same door as everything else."""
    return Router(
        "/",
        route_handlers=[
            BackendsApi,
            AliasesApi,
            ModelsApi,
            PullsApi,
            UsersApi,
            KeysApi,
            MeApi,
            OwnBackendsApi,
            AllowlistApi,
            PreferencesApi,
            UsageApi,
        ],
        exception_handlers={UnicodeDecodeError: _undecodable},
    )


def _undecodable(request: AnyRequest, _: UnicodeDecodeError) -> Response[bytes]:
    """The framework lets this one through."""
    return error_response(request, InvalidJSON("the request body is not valid UTF-8"))

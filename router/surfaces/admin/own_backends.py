"""`/api/me/backends`: a user's private backends, which nobody else sees or uses."""

from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from router.backends.inventory import Entry
from router.errors import Forbidden
from router.surfaces.admin.api import AnyRequest, api_of, require_key, user_meant
from router.surfaces.admin.backend_forms import BackendChange, NewBackend, Selection, document
from router.surfaces.admin.backend_reports import (
    BackendReport,
    ModelReport,
    RemovedReport,
    StatusReport,
    TestReport,
    backend_report,
    changed_report,
    models_report,
    removed_report,
    selected_report,
    status_report,
    tested_report,
)

NOT_HERE = "here an administrator adds and changes the backends of users: see auth.private_backends in the settings"


class OwnBackendsApi(Controller):
    """Adding and changing, which make the router connect to an address, only where `auth.private_backends` is on."""

    path = "/api/me/backends"
    guards = (require_key,)
    tags = ("backends",)

    @get(summary="My backends")
    async def list_own(self, request: AnyRequest) -> list[BackendReport]:
        desk = api_of(request).desk
        return [backend_report(desk, entry) for entry in desk.inventory.of(user_meant(request, None))]

    @post(summary="Add a backend for me alone")
    async def add_own(self, request: AnyRequest, data: JSONBody[NewBackend]) -> BackendReport:
        user_id, desk = _who_may_name_addresses(request), api_of(request).desk
        return changed_report(desk, await desk.changes.add_private(user_id, data.name, document(data)))

    @get("/status", summary="How each of my backends is at this moment")
    async def own_status(self, request: AnyRequest) -> list[StatusReport]:
        desk = api_of(request).desk
        return [status_report(desk, entry) for entry in desk.inventory.of(user_meant(request, None))]

    @get("/{backend_id:str}", summary="One of my backends")
    async def own_backend(self, request: AnyRequest, backend_id: FromPath[str]) -> BackendReport:
        return backend_report(api_of(request).desk, _own(request, backend_id))

    @patch("/{backend_id:str}", summary="Change a backend of mine; with another url, its secrets are said again")
    async def change_own(
        self, request: AnyRequest, backend_id: FromPath[str], data: JSONBody[BackendChange]
    ) -> BackendReport:
        _who_may_name_addresses(request)
        entry, desk = _own(request, backend_id), api_of(request).desk
        return changed_report(desk, await desk.changes.change_private(entry, document(data)))

    @delete("/{backend_id:str}", status_code=200, summary="Remove a backend of mine; what runs there finishes")
    async def remove_own(self, request: AnyRequest, backend_id: FromPath[str]) -> RemovedReport:
        entry, desk = _own(request, backend_id), api_of(request).desk
        return removed_report(desk, entry, await desk.changes.remove(entry, write_file=False))

    @post("/{backend_id:str}/test", status_code=200, summary="Look closely at a backend of mine")
    async def test_own(self, request: AnyRequest, backend_id: FromPath[str]) -> TestReport:
        return await tested_report(api_of(request).desk, _own(request, backend_id))

    @get("/{backend_id:str}/models", summary="The models of a backend of mine; with refresh, it is asked now")
    async def own_models(
        self, request: AnyRequest, backend_id: FromPath[str], *, refresh: FromQuery[bool] = False
    ) -> list[ModelReport]:
        return await models_report(api_of(request).desk, _own(request, backend_id), refresh=refresh)

    @post("/{backend_id:str}/select-model", status_code=200, summary="Make a model the one of my backend")
    async def select_own(
        self, request: AnyRequest, backend_id: FromPath[str], data: JSONBody[Selection]
    ) -> BackendReport:
        return await selected_report(api_of(request).desk, _own(request, backend_id), data.model)


def _own(request: AnyRequest, backend_id: str) -> Entry:
    """Raises NotFound, also for what is another's or everybody's."""
    return api_of(request).desk.inventory.own(user_meant(request, None), backend_id)


def _who_may_name_addresses(request: AnyRequest) -> str:
    """Raises Forbidden where the settings leave that to administrators."""
    if not api_of(request).desk.live.settings.auth.private_backends:
        raise Forbidden(NOT_HERE)
    return user_meant(request, None)

"""`/api/backends` and `/api/aliases`: what there is to choose from."""

from collections.abc import Iterable

from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from router.backends.inventory import Entry
from router.errors import BadRequest
from router.surfaces.admin.api import AnyRequest, api_of, require_admin
from router.surfaces.admin.backend_forms import BackendChange, NewBackend, Selection, document
from router.surfaces.admin.backend_reports import (
    AliasReport,
    BackendDesk,
    BackendReport,
    ModelReport,
    RemovedReport,
    StatusReport,
    TestReport,
    alias_reports,
    backend_report,
    changed_report,
    models_report,
    removed_report,
    selected_report,
    status_report,
    tested_report,
)


class BackendsApi(Controller):
    """Those of the settings file are changed there, and only where `write_file` says so; a user's private ones are
    listed and added with `user_id`.
    """

    path = "/api/backends"
    guards = (require_admin,)
    tags = ("backends",)

    @get(summary="Everybody's backends, the settings' first; with user_id, a user's private ones")
    async def list_backends(self, request: AnyRequest, user_id: FromQuery[str | None] = None) -> list[BackendReport]:
        desk = api_of(request).desk
        return [backend_report(desk, entry) for entry in _whose(desk, user_id)]

    @post(summary="Add a backend to the database, or with write_file to the settings file; with user_id, for one user")
    async def add_backend(
        self,
        request: AnyRequest,
        data: JSONBody[NewBackend],
        *,
        write_file: FromQuery[bool] = False,
        user_id: FromQuery[str | None] = None,
    ) -> BackendReport:
        desk = api_of(request).desk
        if user_id is not None:
            if write_file:
                raise BadRequest("private backends are in no file", param="write_file")
            return changed_report(desk, await desk.changes.add_private(user_id, data.name, document(data)))
        return changed_report(desk, await desk.changes.add(data.name, document(data), write_file=write_file))

    @get("/status", summary="How each of them is at this moment")
    async def status(self, request: AnyRequest, user_id: FromQuery[str | None] = None) -> list[StatusReport]:
        desk = api_of(request).desk
        return [status_report(desk, entry) for entry in _whose(desk, user_id)]

    @get("/{backend_id:str}", summary="One backend")
    async def backend(self, request: AnyRequest, backend_id: FromPath[str]) -> BackendReport:
        desk = api_of(request).desk
        return backend_report(desk, desk.inventory[backend_id])

    @patch("/{backend_id:str}", summary="Change a backend")
    async def change_backend(
        self,
        request: AnyRequest,
        backend_id: FromPath[str],
        data: JSONBody[BackendChange],
        *,
        write_file: FromQuery[bool] = False,
    ) -> BackendReport:
        desk = api_of(request).desk
        entry = desk.inventory[backend_id]
        return changed_report(desk, await desk.changes.change(entry, document(data), write_file=write_file))

    @delete("/{backend_id:str}", status_code=200, summary="Remove a backend; what runs there finishes")
    async def remove_backend(
        self, request: AnyRequest, backend_id: FromPath[str], *, write_file: FromQuery[bool] = False
    ) -> RemovedReport:
        desk = api_of(request).desk
        entry = desk.inventory[backend_id]
        return removed_report(desk, entry, await desk.changes.remove(entry, write_file=write_file))

    @post("/{backend_id:str}/test", status_code=200, summary="Look closely: connected, or what is wrong and its mend")
    async def test_backend(self, request: AnyRequest, backend_id: FromPath[str]) -> TestReport:
        desk = api_of(request).desk
        return await tested_report(desk, desk.inventory[backend_id])

    @get("/{backend_id:str}/models", summary="The models of a backend; with refresh, it is asked now")
    async def backend_models(
        self, request: AnyRequest, backend_id: FromPath[str], *, refresh: FromQuery[bool] = False
    ) -> list[ModelReport]:
        desk = api_of(request).desk
        return await models_report(desk, desk.inventory[backend_id], refresh=refresh)

    @post("/{backend_id:str}/select-model", status_code=200, summary="Make a model the one of its backend")
    async def select_model(
        self, request: AnyRequest, backend_id: FromPath[str], data: JSONBody[Selection]
    ) -> BackendReport:
        desk = api_of(request).desk
        return await selected_report(desk, desk.inventory[backend_id], data.model)


def _whose(desk: BackendDesk, user_id: str | None) -> Iterable[Entry]:
    return desk.inventory if user_id is None else desk.inventory.of(user_id)


class AliasesApi(Controller):
    path = "/api/aliases"
    guards = (require_admin,)
    tags = ("backends",)

    @get(summary="Every alias; they are changed in the settings file")
    async def list_aliases(self, request: AnyRequest) -> list[AliasReport]:
        return alias_reports(api_of(request).fleet.catalog.aliases)

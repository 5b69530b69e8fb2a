"""`/api/backends` and `/api/aliases`: what there is to choose from."""

from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from router.surfaces.admin.api import AnyRequest, api_of, require_admin
from router.surfaces.admin.backend_forms import BackendChange, NewBackend, Selection, document
from router.surfaces.admin.backend_reports import (
    AliasReport,
    BackendReport,
    ModelReport,
    RemovedReport,
    StatusReport,
    TestReport,
    alias_reports,
    backend_report,
    changed_report,
    model_report,
    removed_report,
    status_report,
    test_report,
)


class BackendsApi(Controller):
    """Those of the settings file are changed there, and only where `write_file` says so."""

    path = "/api/backends"
    guards = (require_admin,)
    tags = ("backends",)

    @get(summary="Every backend, the settings' first")
    async def list_backends(self, request: AnyRequest) -> list[BackendReport]:
        desk = api_of(request).desk
        return [backend_report(desk, entry) for entry in desk.inventory]

    @post(summary="Add a backend to the database, or with write_file to the settings file")
    async def add_backend(
        self, request: AnyRequest, data: JSONBody[NewBackend], *, write_file: FromQuery[bool] = False
    ) -> BackendReport:
        desk = api_of(request).desk
        return changed_report(desk, await desk.changes.add(data.name, document(data), write_file=write_file))

    @get("/status", summary="How every backend is at this moment")
    async def status(self, request: AnyRequest) -> list[StatusReport]:
        desk = api_of(request).desk
        return [status_report(desk, entry) for entry in desk.inventory]

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
        verdict = await desk.looks.test(desk.inventory[backend_id], timeout_s=desk.live.settings.health.timeout_s)
        return test_report(verdict)

    @get("/{backend_id:str}/models", summary="The models of a backend; with refresh, it is asked now")
    async def backend_models(
        self, request: AnyRequest, backend_id: FromPath[str], *, refresh: FromQuery[bool] = False
    ) -> list[ModelReport]:
        desk = api_of(request).desk
        entry = desk.inventory[backend_id]
        return [model_report(desk, entry, known) for known in await desk.looks.models(entry, refresh=refresh)]

    @post("/{backend_id:str}/select-model", status_code=200, summary="Make a model the one of its backend")
    async def select_model(
        self, request: AnyRequest, backend_id: FromPath[str], data: JSONBody[Selection]
    ) -> BackendReport:
        desk = api_of(request).desk
        entry = desk.inventory[backend_id]
        await desk.looks.select(entry, data.model)
        return backend_report(desk, entry)


class AliasesApi(Controller):
    path = "/api/aliases"
    guards = (require_admin,)
    tags = ("backends",)

    @get(summary="Every alias; they are changed in the settings file")
    async def list_aliases(self, request: AnyRequest) -> list[AliasReport]:
        return alias_reports(api_of(request).fleet.catalog.aliases)

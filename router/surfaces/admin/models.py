"""`/api/backends/{id}/models/...`, `/api/backends/{id}/ps` and `/api/pulls`: models where they live.

    POST   /api/backends/{id}/models/pull         {"model", "stream"}: SSE of a PullReport, then ProgressReports
    GET    /api/backends/{id}/models/{name}       ModelCardReport
    DELETE /api/backends/{id}/models/{name}       RemovedModelReport
    POST   /api/backends/{id}/models/{name}/load    {"keep_alive"}: KeptReport
    POST   /api/backends/{id}/models/{name}/unload  KeptReport
    GET    /api/backends/{id}/ps                  list of LoadedReport
    GET    /api/pulls                             list of PullReport, those that run first
    GET    /api/pulls/{id}                        PullReport; with follow=true, or Accept: text/event-stream, SSE
    DELETE /api/pulls/{id}                        PullReport: cancelled, or as it ended before

A name may hold `/` and `:`, as they are or percent-encoded: the last part of a POST's path is what is to be done.
To GET and DELETE, a model that is just called `pull` is `pull:latest`.
"""

from typing import Any

import msgspec
from litestar import Controller, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ASGIApp

from router.backends.inventory import Entry
from router.errors import InvalidParameter, UnknownRoute
from router.pulls.run import Run
from router.surfaces.admin.api import AnyRequest, Api, api_of, require_admin
from router.surfaces.admin.following import Following
from router.surfaces.admin.model_forms import KeepForm, NewPull
from router.surfaces.admin.model_reports import (
    KeptReport,
    LoadedReport,
    ModelCardReport,
    PullReport,
    RemovedModelReport,
    card_report,
    pull_report,
)
from router.surfaces.direct import whole
from router.surfaces.watch import Watch

LOAD, UNLOAD = "load", "unload"
EVENTS = "text/event-stream"
_RECORD: dict[int, ResponseSpec] = {
    200: ResponseSpec(PullReport, description="The pull, or its events", generate_examples=False)
}


class ModelsApi(Controller):
    """A server that does not run is a 503, one whose models are not managed a 501, one that takes too long a 504."""

    path = "/api/backends/{backend_id:str}"
    guards = (require_admin,)
    tags = ("models",)

    @post(
        "/models/pull",
        status_code=200,
        summary="Pull a model; followed as events, or with stream=false begun and answered with its record",
        responses=_RECORD,
    )
    async def pull(self, request: AnyRequest, backend_id: FromPath[str], data: JSONBody[NewPull]) -> ASGIApp:
        api = api_of(request)
        run = api.models.library.pull(api.desk.inventory[backend_id], data.model)
        return _followed(api, run, is_new=True) if data.stream else _recorded(run, status=202)

    @get("/models/{name:path}", summary="A model in all its details")
    async def model(self, request: AnyRequest, backend_id: FromPath[str], name: FromPath[str]) -> ModelCardReport:
        entry, library = _entry(request, backend_id), api_of(request).models.library
        info, card = await library.card(entry, _named(name))
        return card_report(entry.name, info, card, loaded=library.is_loaded(entry, info.name))

    @delete("/models/{name:path}", status_code=200, summary="Delete a model for good")
    async def delete_model(
        self, request: AnyRequest, backend_id: FromPath[str], name: FromPath[str]
    ) -> RemovedModelReport:
        entry = _entry(request, backend_id)
        await api_of(request).models.library.delete(entry, _named(name))
        return RemovedModelReport(entry.name, _named(name))

    @post(
        "/models/{name:path}",
        status_code=200,
        summary="NAME/load loads a model as its alias would have it, NAME/unload takes it out of memory",
    )
    async def keep(
        self,
        request: AnyRequest,
        backend_id: FromPath[str],
        name: FromPath[str],
        data: JSONBody[KeepForm | None] = None,
    ) -> KeptReport:
        return await _kept(request, backend_id, name, keep_alive=data.keep_alive if data else None)

    @post("/models/pull/{name:path}", status_code=200, include_in_schema=False)
    async def keep_pull(
        self,
        request: AnyRequest,
        backend_id: FromPath[str],
        name: FromPath[str],
        data: JSONBody[KeepForm | None] = None,
    ) -> KeptReport:
        """Of a name that begins as the path of a pull does."""
        return await _kept(request, backend_id, f"pull{name}", keep_alive=data.keep_alive if data else None)

    @get("/ps", summary="The models that a backend has in memory at this moment")
    async def loaded(self, request: AnyRequest, backend_id: FromPath[str]) -> list[LoadedReport]:
        models = await api_of(request).models.library.loaded(_entry(request, backend_id))
        return [
            LoadedReport(model.name, model.size, model.memory, model.vram, model.context_length, model.loaded_s)
            for model in models
        ]


class PullsApi(Controller):
    """Pulls go on whoever follows them, and are begun again after a restart of the router."""

    path = "/api/pulls"
    guards = (require_admin,)
    tags = ("models",)

    @get(summary="The pulls that run, and the last that have ended")
    async def pulls(self, request: AnyRequest) -> list[PullReport]:
        return [pull_report(run.pull) for run in api_of(request).models.library.pulls]

    @get("/{pull_id:str}", summary="A pull; follow=true for its events as they come", responses=_RECORD)
    async def one_pull(
        self, request: AnyRequest, pull_id: FromPath[str], *, follow: FromQuery[bool] = False
    ) -> ASGIApp:
        api = api_of(request)
        run = api.models.library.pulls[pull_id]
        return _followed(api, run) if follow or _wants_events(request) else _recorded(run)

    @delete("/{pull_id:str}", status_code=200, summary="Cancel a pull; a later one goes on where it was")
    async def cancel_pull(self, request: AnyRequest, pull_id: FromPath[str]) -> PullReport:
        return pull_report((await api_of(request).models.library.pulls.cancel(pull_id)).pull)


def _entry(request: AnyRequest, backend_id: str) -> Entry:
    return api_of(request).desk.inventory[backend_id]


async def _kept(request: AnyRequest, backend_id: str, path: str, *, keep_alive: float | str | None) -> KeptReport:
    entry, models = _entry(request, backend_id), api_of(request).models
    name, _, action = path.strip("/").rpartition("/")
    if action not in {LOAD, UNLOAD}:
        raise UnknownRoute("a model is posted to with /load or /unload behind its name, or pulled with /models/pull")
    model = _named(name)
    async with Watch(request.receive, drain=models.drain):
        if action == LOAD:
            loaded = await models.library.load(entry, model, keep_alive)
        else:
            loaded = await models.library.unload(entry, model)
    return KeptReport(entry.name, model, loaded)


def _named(path: str) -> str:
    """The name of a model in a path; raises InvalidParameter where there is none."""
    if not (name := path.strip("/")):
        raise InvalidParameter("the name of a model is missing", param="name")
    return name


def _wants_events(request: AnyRequest) -> bool:
    return EVENTS in request.headers.get("accept", "")


def _followed(api: Api, run: Run, *, is_new: bool = False) -> ASGIApp:
    models = api.models
    return Following(run, models.drain, keepalive_s=models.keepalive_s, is_new=is_new)


def _recorded(run: Run, *, status: int = 200) -> Any:
    return whole(msgspec.json.encode(pull_report(run.pull)), [], status=status)

"""`/v1/router/llama`: the llama.cpp processes that the router runs; starting, stopping and their logs."""

import asyncio
from contextlib import suppress
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from router.errors import UnknownBackend
from router.processes.gguf import Model
from router.processes.log import Log
from router.processes.runs import Run
from router.processes.supervisor import Supervisor
from router.surfaces.door import Door
from router.surfaces.drain import Drain
from router.surfaces.queue import require_steering
from router.surfaces.recording import entry_of
from router.surfaces.watch import ClientLeft, Watch

DEFAULT_LINES = 100
MAX_LINES = 2000
CHECK_S = 0.5
"""How soon who follows a log notices that the router stops."""

AnyRequest = Request[Any, Any, Any]
_TEXT = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-accel-buffering", b"no")]


class ProcessReport(Struct):
    """One process. `memory` is the bytes that it is taken to need, `measured` whether a load has shown that.

    `percent` is how far it has loaded, if that can be told; `pid` is that of its process group.
    """

    backend: str
    state: str
    when: str
    group: str
    model: str
    name: str
    architecture: str
    quantization: str
    context_length: int | None
    trained_length: int | None
    vision: bool
    chat_template: bool
    size: int
    memory: int
    measured: bool
    requests: int
    loads: int
    crashes: int
    percent: int | None
    pid: int | None
    error: str


class ProcessList(Struct):
    processes: list[ProcessReport]


def llama_routes(supervisor: Supervisor, drain: Drain, door: Door) -> list[HTTPRouteHandler]:
    """What runs, and what people may do to it."""

    @get("/v1/router/llama", include_in_schema=False)
    async def processes(request: AnyRequest) -> Response[bytes]:
        require_steering(request, door)
        return _json(
            ProcessList([_report(supervisor, run) for run in (*supervisor.runs.values(), *supervisor.leaving.values())])
        )

    @post("/v1/router/llama/{name:str}/start", status_code=202, include_in_schema=False)
    async def start(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
        require_steering(request, door)
        run = _known(supervisor, name)
        supervisor.start(name)
        return _json(_report(supervisor, run), status=202)

    @post("/v1/router/llama/{name:str}/stop", status_code=202, include_in_schema=False)
    async def stop(request: AnyRequest, name: FromPath[str], *, force: FromQuery[bool] = False) -> Response[bytes]:
        require_steering(request, door)
        run = _known(supervisor, name)
        supervisor.stop(name, force=force)
        return _json(_report(supervisor, run), status=202)

    @get("/v1/router/llama/{name:str}/logs", include_in_schema=False)
    async def logs(
        request: AnyRequest,
        name: FromPath[str],
        *,
        lines: Annotated[int, QueryParameter(ge=0, le=MAX_LINES)] = DEFAULT_LINES,
        follow: FromQuery[bool] = False,
    ) -> ASGIApp:
        require_steering(request, door)
        return _Logs(_known(supervisor, name).log, lines, drain if follow else None)

    return [processes, start, stop, logs]


class _Logs:
    """Lines as plain text; with `follows` also those that come, until the client leaves or the router stops."""

    def __init__(self, log: Log, lines: int, follows: Drain | None) -> None:
        self._log = log
        self._lines = lines
        self._follows = follows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _TEXT})
        try:
            async with Watch(receive):
                await self._tell(send)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientLeft:
            entry_of(scope).left()

    async def _tell(self, send: Send) -> None:
        seen = max(0, self._log.count - self._lines)
        while True:
            changed, new = self._log.changed, self._log.since(seen)
            seen = self._log.count
            if new:
                text = "".join(f"{line}\n" for line in new)
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            if self._follows is None or self._follows.draining:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await changed.wait()


def _known(supervisor: Supervisor, name: str) -> Run:
    run = supervisor.runs.get(name)
    if run is None:
        known = ", ".join(supervisor.runs) or "none"
        raise UnknownBackend(f"no llama.cpp process is called '{name[:200]}'; processes: {known}", param="name")
    return run


def _report(supervisor: Supervisor, run: Run) -> ProcessReport:
    settings, head, child = run.launch.settings, run.head or Model(), run.child
    info = run.launch.info(head)
    return ProcessReport(
        backend=run.launch.name,
        state=child.phase.value,
        when=settings.when,
        group=run.launch.terms.group,
        model=run.launch.model,
        name=head.name,
        architecture=head.architecture,
        quantization=head.quantization,
        context_length=info.context_length,
        trained_length=info.trained_length,
        vision=info.can("vision"),
        chat_template=bool(head.chat_template),
        size=head.size,
        memory=run.size,
        measured=run.load is not None and run.launch.memory is None,
        requests=child.users,
        loads=run.loads,
        crashes=child.crashes,
        percent=supervisor.percent(run),
        pid=run.process.group if run.process is not None else None,
        error=child.error if not child.is_alive else "",
    )


def _json(body: Struct, *, status: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(body), media_type="application/json", status_code=status)

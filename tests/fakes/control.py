"""The fake's own HTTP routes, for tests that run in another process."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from tests.fakes.faults import NO_FAULTS, Faults
from tests.fakes.journal import Recorded
from tests.fakes.scripts import Scripted

T = TypeVar("T")

PREFIX = "/__fake"

_FAULTS = TypeAdapter(Faults)
_SCRIPTED = TypeAdapter(Scripted)


class Controlled(Protocol):
    """What the control plane needs of the backend."""

    @property
    def faults(self) -> Faults: ...
    @faults.setter
    def faults(self, faults: Faults) -> None: ...
    @property
    def requests(self) -> list[Recorded]: ...
    @property
    def probes(self) -> list[Recorded]: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def peak_in_flight(self) -> int: ...
    @property
    def disconnects(self) -> list[float]: ...
    def script(self, path: str, *answers: Scripted) -> None: ...
    def reset(self) -> None: ...


async def serve(fake: Controlled, request: web.Request) -> web.Response:
    try:
        return await _serve(fake, request)
    except ValidationError as error:
        return _bad("; ".join(f"{_place(e['loc'])}: {e['msg']}" for e in error.errors()))
    except (ValueError, TypeError) as error:
        return _bad(str(error))


async def _serve(fake: Controlled, request: web.Request) -> web.Response:
    match request.method, request.path.removeprefix(PREFIX):
        case "GET", "/faults":
            pass
        case "PUT", "/faults":
            fake.faults = _read(_FAULTS, await request.json(), known=Faults)
        case "DELETE", "/faults":
            fake.faults = NO_FAULTS
        case "PUT", "/script":
            given = await request.json()
            _refuse_unknown(given, ("path", "answers"))
            answers = [_read(_SCRIPTED, answer, known=Scripted) for answer in given["answers"]]
            fake.script(given["path"], *answers)
            return web.json_response({"path": given["path"], "answers": len(answers)})
        case "GET", "/requests":
            return web.json_response([_shown(recorded) for recorded in fake.requests])
        case "GET", "/state":
            return web.json_response(_state(fake))
        case "DELETE", "":
            fake.reset()
            return web.json_response(_state(fake))
        case _:
            return web.json_response({"error": f"no {request.method} {request.path}"}, status=404)
    return web.Response(body=_FAULTS.dump_json(fake.faults), content_type="application/json")


def _read(adapter: TypeAdapter[T], given: object, *, known: type[Any]) -> T:
    _refuse_unknown(given, [field.name for field in dataclasses.fields(known)])
    return adapter.validate_python(given)


def _refuse_unknown(given: object, known: Iterable[str]) -> None:
    if not isinstance(given, Mapping):
        raise TypeError("a JSON object is expected")
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(unknown)}")


def _state(fake: Controlled) -> dict[str, int]:
    return {
        "in_flight": fake.in_flight,
        "peak_in_flight": fake.peak_in_flight,
        "disconnects": len(fake.disconnects),
        "requests": len(fake.requests),
        "probes": len(fake.probes),
    }


def _shown(recorded: Recorded) -> dict[str, Any]:
    body = recorded.body.decode(errors="replace")
    return {"method": recorded.method, "path": recorded.path, "headers": dict(recorded.headers), "body": body}


def _place(location: Iterable[str | int]) -> str:
    return ".".join(str(part) for part in location)


def _bad(message: str) -> web.Response:
    return web.json_response({"error": message}, status=400)

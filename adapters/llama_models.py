"""The models of a llama.cpp server that runs several: loaded and let go as they are asked for."""

import asyncio

import msgspec
from msgspec import Struct

from adapters.upstream import Upstream
from router.canonical.library import no_such_model
from router.dialects.failures import UNREADABLE
from router.errors import BackendFailed, BackendTimeout, EndpointMissing, ModelMissing

ASK_S = 10.0
POLL_S = 0.25
_THERE = frozenset({"loaded", "sleeping"})
_COMING = frozenset({"loading", "downloading"})


class _Status(Struct, frozen=True):
    value: str = ""
    failed: bool = False


class _Model(Struct, frozen=True):
    id: str
    status: _Status = _Status()


class _Models(Struct):
    data: list[_Model]


_MODELS = msgspec.json.Decoder(_Models)


async def load(upstream: Upstream, model: str, *, within_s: float) -> None:
    """Returns when it is there: the server itself answers at once. Raises RouterError."""
    if (await _status(upstream, model)).value in _THERE:
        return
    await _ask(upstream, "/models/load", model)
    await _until(upstream, model, there=True, within_s=within_s)


async def unload(upstream: Upstream, model: str, *, within_s: float) -> None:
    """Returns when it is gone."""
    if (await _status(upstream, model)).value not in _THERE | _COMING:
        return
    await _ask(upstream, "/models/unload", model)
    await _until(upstream, model, there=False, within_s=within_s)


async def _until(upstream: Upstream, model: str, *, there: bool, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            while True:
                status = await _status(upstream, model)
                if there and status.failed:
                    raise BackendFailed(f"{upstream.name} could not load {model[:200]}: its log says why")
                if status.value in _THERE if there else status.value not in _THERE:
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise BackendTimeout(f"{upstream.name} was not done with {model[:200]} within {within_s:g} s") from None


async def _ask(upstream: Upstream, path: str, model: str) -> None:
    try:
        await upstream.fetch("POST", path, msgspec.json.encode({"model": model}), timeout_s=ASK_S)
    except (EndpointMissing, ModelMissing):
        raise no_such_model(upstream.name, model) from None


async def _status(upstream: Upstream, model: str) -> _Status:
    try:
        models = _MODELS.decode(await upstream.get("/v1/models", timeout_s=ASK_S)).data
    except UNREADABLE:
        raise BackendFailed(f"{upstream.name} does not answer like a llama.cpp server") from None
    for each in models:
        if each.id == model:
            return each.status
    raise no_such_model(upstream.name, model)

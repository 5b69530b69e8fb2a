"""A router under test: the real app on a real uvicorn, inside the test's event loop."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from router.app import Router, build
from router.joined_writes import JoinedWrites
from router.settings import Settings

STOP_TIMEOUT_S = 5.0
AS_SERVED: Mapping[str, Any] = {"http": JoinedWrites, "ws": "none", "proxy_headers": False}
"""As in `router.serving`, whatever else is installed."""
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Loading the system's certificates would take most of a test's time."""


@dataclass(frozen=True, slots=True)
class RunningRouter:
    """`client` is an httpx client on the router's address; `router` is what the composition root built."""

    url: str
    router: Router
    client: httpx.AsyncClient

    async def looked(self) -> None:
        """Looks at every backend once more, now."""
        for name in self.router.fleet.adapters:
            await self.router.prober.look(name)


@asynccontextmanager
async def running(
    config: Mapping[str, Any], *, headers: Mapping[str, str] | None = None, **more: Any
) -> AsyncGenerator[RunningRouter]:
    """Serves a router with these settings on a free port; every backend has been looked at once.

    `more` goes to the composition root. At the end every answer must be over: one that outlives its client fails the
    test.
    """
    server_settings = {"port": 0, "data_dir": None, **config.get("server", {})}
    settings = Settings.model_validate({**config, "server": server_settings})
    router = build(settings, **more)
    server = uvicorn.Server(
        uvicorn.Config(
            router.app, port=0, log_level="error", access_log=False, lifespan="on", server_header=False, **AS_SERVED
        )
    )
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=20, headers=headers, verify=NO_TLS) as client:
            running_router = RunningRouter(url, router, client)
            await running_router.looked()
            yield running_router
    finally:
        await _stop(server)


async def _stop(server: uvicorn.Server) -> None:
    """What uvicorn does on SIGTERM, without its pauses."""
    for listening in server.servers:
        listening.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    left = set(server.server_state.tasks)
    if left:
        _, left = await asyncio.wait(left, timeout=STOP_TIMEOUT_S)
    for task in left:
        task.cancel()
    await server.lifespan.shutdown()
    assert not left, "an answer went on after its client had left"

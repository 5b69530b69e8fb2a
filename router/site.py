"""The web application: every route of a router, and what is around them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.middleware import DefineMiddleware
from litestar.types import ControllerRouterHandler

from router.live import Live
from router.relay.relay import Relay
from router.reload import Parts
from router.settings import Settings
from router.surfaces.admin.api import Api
from router.surfaces.admin.docs import openapi
from router.surfaces.admin.routes import api_routes
from router.surfaces.conversations import Conversations
from router.surfaces.direct import Endpoint, routes
from router.surfaces.drain import Drain
from router.surfaces.explain import explain_routes
from router.surfaces.guard import EXCEPTION_HANDLERS, Guard
from router.surfaces.health import health_routes
from router.surfaces.llama import llama_routes
from router.surfaces.metrics import Counted, metrics_routes
from router.surfaces.mirror.library import library_routes
from router.surfaces.mirror.manage import management_routes
from router.surfaces.models import model_routes
from router.surfaces.queue import queue_routes
from router.surfaces.responses import kept_routes

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]
EXPOSED_HEADERS = ["x-request-id", "request-id", "retry-after", "x-turnout-backend", "x-turnout-model",
                   "x-turnout-attempts", "x-turnout-reason", "x-turnout-dropped", "x-turnout-warning",
                   "x-turnout-usage", "x-turnout-context", "x-ratelimit-limit-requests",
                   "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "x-ratelimit-limit-tokens",
                   "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Site:
    """What the routes show and change; `posted` is what answers each path that takes requests for backends."""

    parts: Parts
    relay: Relay
    drain: Drain
    counted: Counted
    live: Live
    conversations: Conversations
    posted: Mapping[str, Endpoint]

    def app(self, settings: Settings, api: Api, *, lifespan: Sequence[Lifespan]) -> Litestar:
        """All of it under the framework."""
        return Litestar(
            route_handlers=self._handlers(api, settings.server.max_body_bytes),
            exception_handlers=EXCEPTION_HANDLERS,
            middleware=[DefineMiddleware(Guard, door=api.door)],
            cors_config=_cors(settings),
            lifespan=lifespan,
            openapi_config=openapi(),
            state=State({"api": api}),
            logging_config=None,
        )

    def _handlers(self, api: Api, limit: int) -> list[ControllerRouterHandler]:
        fleet, gate, drain, storage = self.parts.fleet, self.parts.gate, self.drain, api.storage
        return [
            *routes(self.posted),
            *kept_routes(self.conversations),
            *model_routes(fleet),
            *library_routes(fleet, max_body_bytes=limit),
            *management_routes(fleet, drain, self.parts.prober.look, door=api.door, max_body_bytes=limit),
            *explain_routes(self.relay, max_body_bytes=limit),
            *health_routes(fleet, drain, storage, in_force=self.live),
            *queue_routes(fleet, gate, api.door),
            *llama_routes(self.parts.launcher.supervisor, drain, api.door),
            api_routes(),
            *metrics_routes(self.counted, fleet, gate=gate, drain=drain, storage=storage, live=self.live),
        ]


def _cors(settings: Settings) -> CORSConfig | None:
    origins = settings.server.cors_origins
    if not origins:
        return None
    return CORSConfig(allow_origins=list(origins), allow_headers=["*"], expose_headers=EXPOSED_HEADERS)

"""The way to the SDK, whose import takes seconds: nobody but the requests that need it waits for that."""

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from router.canonical.adapter import BackendConfig
from router.errors import BackendTimeout

if TYPE_CHECKING:
    from adapters.anthropic_sdk.upstream import SdkUpstream

LOAD_S = 60.0


class Loading:
    """Imports the SDK in a thread, when first asked to. Whoever makes one closes it."""

    def __init__(self, config: BackendConfig, **more: Any) -> None:
        self._config = config
        self._more = more
        self._upstream: SdkUpstream | None = None
        self._importing: asyncio.Task[Any] | None = None

    async def upstream(self) -> "SdkUpstream":
        """The connections; raises BackendTimeout when the import takes longer than LOAD_S."""
        if self._upstream is not None:
            return self._upstream
        if self._importing is None:
            self._importing = asyncio.create_task(asyncio.to_thread(import_module, "adapters.anthropic_sdk.upstream"))
        try:
            async with asyncio.timeout(LOAD_S):
                module = await asyncio.shield(self._importing)
        except TimeoutError:
            raise BackendTimeout(f"{self._config.name}: the router is still loading what it needs to ask it") from None
        if self._upstream is None:
            self._upstream = made = cast("SdkUpstream", module.SdkUpstream(self._config, **self._more))
            return made
        return self._upstream

    async def aclose(self) -> None:
        """Closes the connections. An import under way goes on in its thread."""
        if self._importing is not None and not self._importing.done():
            self._importing.cancel()
            await asyncio.wait((self._importing,))
        if self._upstream is not None:
            await self._upstream.aclose()

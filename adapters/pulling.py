"""A pull on an Ollama server, while that tells how it goes."""

from collections.abc import Sequence
from typing import Self

from adapters.passing import Passing
from adapters.upstream import Upstream
from router.canonical.errand import Errand
from router.canonical.library import PullStep
from router.dialects import ollama
from router.errors import BackendFailed, StreamBroken


class Pulling:
    """Entering it asks the server; leaving it closes the connection, which ends the pull there."""

    def __init__(self, upstream: Upstream, model: str) -> None:
        self._upstream = upstream
        self._passing = Passing(upstream, Errand("POST", "/api/pull", ollama.render_named(model, stream=True)))
        self._decoder = ollama.PullDecoder(model)
        self._is_over = False

    async def __aenter__(self) -> Self:
        await self._passing.__aenter__()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._passing.__aexit__(kind, error, trace)

    async def steps(self) -> Sequence[PullStep]:
        """What was told since the last call; nothing once the model is there. Raises RouterError."""
        while not self._is_over:
            data = await self._passing.read()
            try:
                steps = self._decoder.feed(data) if data else self._decoder.finish()
            except StreamBroken as error:
                raise type(error)(f"{self._upstream.name}: {error.message}") from None
            self._is_over = not data or self._decoder.ended or self._decoder.failure is not None
            if steps:
                return steps
        if isinstance(failure := self._decoder.failure, BackendFailed):
            raise BackendFailed(f"{self._upstream.name}: {self._upstream.hidden(failure.message)}")
        if failure is not None:
            raise failure
        return ()

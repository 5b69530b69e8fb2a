"""Teaching the calibration: now and then, off the path, a request that the backend counted is estimated too."""

import asyncio
from collections.abc import Callable
from time import monotonic

from router.canonical.models import canonical_name
from router.canonical.request import ChatRequest
from router.usage.calibration import Calibration, Kind
from router.usage.prompt import Count, prompt_count
from router.usage.tokenizer import Tokenizer

PAUSE_S = 1.0
LONG_PAUSE_S = 30.0
WELL_KNOWN = 100
"""After so many samples a model is looked at less often."""
SIZES = range(1_000, 64_000)
"""Bytes of a request: a shorter one teaches too little, a longer one costs too much."""
MAX_WAITING = 4
MAX_REMEMBERED = 1_000


class Lessons:
    """Holds on to at most MAX_WAITING requests, and one of each model at a time."""

    def __init__(
        self, calibration: Calibration, tokenizer: Tokenizer, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self.calibration = calibration
        self._tokenizer = tokenizer
        self._clock = clock
        self._waiting: asyncio.Queue[tuple[ChatRequest, Kind, int]] = asyncio.Queue(MAX_WAITING)
        self._due: dict[tuple[str, str], float] = {}

    def offer(self, request: ChatRequest, backend: str, model: str, *, true: int, count: Count | None = None) -> None:
        """A prompt that was `true` tokens. One that has been estimated already costs nothing more."""
        kind = Kind(backend, canonical_name(model))
        if count is not None:
            self._learn(kind, count, true)
        elif request.size in SIZES and self._is_due(kind) and not request.has_images and not self._waiting.full():
            self._waiting.put_nowait((request, kind, true))

    async def run(self) -> None:
        """Estimates what was offered, one request after another, until cancelled."""
        while True:
            request, kind, true = await self._waiting.get()
            self._learn(kind, await prompt_count(request, self._tokenizer), true)
            del request

    def _learn(self, kind: Kind, count: Count, true: int) -> None:
        if not count.guessed and not count.images:
            self.calibration.observe(Kind(kind.backend, kind.model, count.foreign), count.text + count.tools, true)

    def _is_due(self, kind: Kind) -> bool:
        key, now = (kind.backend, kind.model), self._clock()
        if now < self._due.get(key, 0.0):
            return False
        if len(self._due) >= MAX_REMEMBERED:
            self._due.clear()
        pause = LONG_PAUSE_S if self.calibration.ratio(kind).samples >= WELL_KNOWN else PAUSE_S
        self._due[key] = now + pause
        return True

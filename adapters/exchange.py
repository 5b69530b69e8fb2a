"""One open answer, streamed or whole, as the relay sees it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Self

from adapters.upstream import Exchange, Upstream
from router.canonical.events import Frame
from router.dialects import Decoder
from router.errors import BackendFailed


@dataclass(frozen=True, slots=True)
class Format:
    """How to read an answer: the dialect's name, a decoder for a stream, and a reader for a whole body."""

    dialect: str
    decoder: Callable[[], Decoder]
    whole: Callable[[bytes], Frame]


@dataclass(frozen=True, slots=True)
class Question:
    """A rendered request: where it goes, its body, and what could not be said in it.

    `loading` is that of the attempt.
    """

    path: str
    body: bytes
    model: str
    stream: bool
    dropped: tuple[str, ...] = ()
    loading: bool = False


class OpenReply:
    """One answer. Entering the context sends the question; leaving it closes the connection."""

    __slots__ = ("_exchange", "_format", "_frames", "_prepare", "_upstream", "dropped")

    def __init__(
        self, upstream: Upstream, prepare: Question | Callable[[], Awaitable[Question]], answer: Format
    ) -> None:
        self._upstream = upstream
        self._prepare = prepare
        self._format = answer
        self._exchange: Exchange | None = None
        self._frames: AsyncGenerator[Sequence[Frame]] | None = None
        self.dropped: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        question = self._prepare if isinstance(self._prepare, Question) else await self._prepare()
        self.dropped = question.dropped
        exchange = self._upstream.post(question.path, question.body, model=question.model, loading=question.loading)
        self._exchange = await exchange.__aenter__()
        self._frames = exchange.batches(self._format.decoder()) if question.stream else _whole(exchange, self._format)
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if self._exchange is not None:
                await self._exchange.__aexit__(kind, error, trace)
        finally:
            if self._frames is not None:
                await self._frames.aclose()

    @property
    def dialect(self) -> str:
        return self._format.dialect

    def batches(self) -> AsyncGenerator[Sequence[Frame]]:
        """Frames as they arrive; a whole answer is one frame. There is one pass only, while the context is open."""
        assert self._frames is not None
        return self._frames


async def _whole(exchange: Exchange, answer: Format) -> AsyncGenerator[Sequence[Frame]]:
    body = await exchange.body()
    try:
        frame = answer.whole(body)
    except BackendFailed as error:
        raise BackendFailed(f"{exchange.backend}: {error.message}") from None
    yield (frame,)

"""Several answers as one: each prompt, and each further choice, is asked for after the one before."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Self

from msgspec.structs import replace

from router.canonical.adapter import Reply
from router.canonical.completion import CompletionRequest
from router.canonical.events import Echoed, Ended, Event, Frame, Started, UsageReported
from router.errors import UnsupportedValue

Opening = Callable[[CompletionRequest], AbstractAsyncContextManager[Reply]]


def completing(request: CompletionRequest, opens: Opening) -> AbstractAsyncContextManager[Reply]:
    """The answer of a backend that has one prompt and one choice at a time, and repeats no prompt by itself.

    Raises UnsupportedValue where token ids would have to be told as text.
    """
    if len(request.prompts) == 1 and request.n == 1 and not request.echo:
        return opens(request)
    if request.echo and not all(isinstance(prompt, str) for prompt in request.prompts):
        raise UnsupportedValue("a prompt of token ids is not repeated: leave echo out", param="echo")
    return _Series([request.single(place) for place in range(len(request.prompts)) for _ in range(request.n)], opens)


class _Series:
    """Entering it asks for the first answer; the others follow as they are read. Only one is open at a time."""

    def __init__(self, requests: Sequence[CompletionRequest], opens: Opening) -> None:
        self._requests = requests
        self._opens = opens
        self._context: AbstractAsyncContextManager[Reply] | None = None
        self._frames: AsyncGenerator[Sequence[Frame]] | None = None
        self._before = UsageReported()
        self._usage = UsageReported()
        self.dropped: tuple[str, ...] = ()
        self.dialect = ""

    async def __aenter__(self) -> Self:
        reply = await self._open(self._requests[0])
        self.dropped, self.dialect = reply.dropped, reply.dialect
        self._frames = self._all(reply)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        context, self._context = self._context, None
        try:
            if context is not None:
                await context.__aexit__(kind, error, trace)  # pyright: ignore[reportArgumentType]
        finally:
            if self._frames is not None:
                await self._frames.aclose()

    def batches(self) -> AsyncGenerator[Sequence[Frame]]:
        """The frames of all answers, one after another; there is one pass only, while the context is open."""
        assert self._frames is not None
        return self._frames

    async def _open(self, request: CompletionRequest) -> Reply:
        context, self._context = self._context, None
        if context is not None:
            await context.__aexit__(None, None, None)
        context = self._opens(request)
        reply = await context.__aenter__()
        self._context = context
        return reply

    async def _all(self, reply: Reply) -> AsyncGenerator[Sequence[Frame]]:
        for choice, request in enumerate(self._requests):
            if choice:
                self._before, self._usage = self._before.added(self._usage), UsageReported()
                reply = await self._open(request)
            pending = _echo(request, choice)
            async for frames in reply.batches():
                told = [Frame(b"", tuple(self._told(frame.events, choice))) for frame in frames]
                if pending is not None:
                    told[0] = Frame(b"", (*_opening(told[0].events), pending, *_rest(told[0].events)))
                    pending = None
                yield told

    def _told(self, events: Sequence[Event], choice: int) -> Iterator[Event]:
        """The events as those of this choice; the whole has one beginning, one end, and the usage of all together."""
        is_last = choice == len(self._requests) - 1
        for event in events:
            if isinstance(event, Ended):
                if is_last:
                    yield event
            elif isinstance(event, UsageReported):
                self._usage = self._usage.merged(event)
                yield self._before.added(self._usage)
            elif isinstance(event, Started):
                if choice == 0:
                    yield event
            else:
                yield replace(event, choice=choice)


def _echo(request: CompletionRequest, choice: int) -> Echoed | None:
    (prompt,) = request.prompts
    return Echoed(prompt, choice) if request.echo and isinstance(prompt, str) else None


def _opening(events: Sequence[Event]) -> tuple[Event, ...]:
    return tuple(event for event in events if isinstance(event, Started))


def _rest(events: Sequence[Event]) -> tuple[Event, ...]:
    return tuple(event for event in events if not isinstance(event, Started))

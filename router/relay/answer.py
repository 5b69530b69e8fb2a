"""An answer on its way from a backend to the client: frames to the client's bytes, counted as they pass."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from router.canonical.adapter import Reply
from router.canonical.events import Ended, Event, Finished, Frame, UsageReported
from router.canonical.fold import fold
from router.canonical.thinking import Splitter
from router.dialects import Encoder, sse
from router.errors import BackendFailed
from router.usage.meter import Meter


@dataclass(frozen=True, slots=True)
class Handling:
    """What is done to an answer on its way.

    `settled` says what it cost, `check` at its end what the client should be warned of. `note` is for people who look
    at the stream, where it goes on for another that broke off.
    """

    settled: Callable[[], Awaitable[UsageReported]]
    splitter: Splitter | None = None
    check: Callable[[], Awaitable[str]] | None = None
    note: str = ""


class Answer:
    """An answer that a backend has committed itself to; `first` are the frames that are already here."""

    __slots__ = ("_batches", "_check", "_first", "_meter", "_reply", "_settled", "_splitter", "note", "usage")

    def __init__(
        self,
        reply: Reply,
        first: Sequence[Frame],
        *,
        batches: AsyncIterator[Sequence[Frame]],
        meter: Meter,
        handling: Handling,
    ) -> None:
        self._reply = reply
        self._first = first
        self._batches = batches
        self._meter = meter
        self._settled = handling.settled
        self._splitter = handling.splitter
        self._check = handling.check
        self.note = handling.note
        self.usage: UsageReported | None = None

    async def stream(self, encoder: Encoder, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Writes the client's bytes as they become known; what arrived together is written together."""
        await self._say(self._first, encoder, write)
        observe, is_own = self._meter.observe, self._reply.dialect == encoder.dialect
        is_plain = self._splitter is None and self._check is None and not encoder.wants_usage
        async for frames in self._batches:
            if not is_plain and (self._splitter is not None or _is_end(frames)):
                await self._say(frames, encoder, write)
                continue
            for frame in frames:
                observe(frame.events)
            if piece := _rendered(frames, encoder, is_own=is_own):
                await write(piece)

    async def body(self, encoder: Encoder) -> bytes:
        """The whole answer at once; afterwards `usage` says what it cost."""
        frames = [*self._first]
        async for more in self._batches:
            frames.extend(more)
        for frame in frames:
            self._meter.observe(frame.events)
        if self._check is not None:
            await self._check()
        events = [event for frame in frames for event in frame.events]
        raw = frames[0].raw if len(frames) == 1 and self._reply.dialect == encoder.dialect else b""
        if raw and not _is_understood(events):
            return raw
        usage = self.usage = await self._settled()
        is_split = False
        if self._splitter is not None:
            events = self._splitter.events(events)
            is_split = self._splitter.has_changed()
        if not raw:
            return encoder.whole(replace(fold(events), usage=usage))
        choices = fold(events).choices if is_split else None
        return encoder.amended(raw, choices=choices, usage=usage if usage.estimated else None)

    async def _say(self, frames: Sequence[Frame], encoder: Encoder, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Frames that reasoning may have to be taken from, or that a count may have to be added to."""
        is_own = self._reply.dialect == encoder.dialect
        for frame in frames:
            self._meter.observe(frame.events)
        if self._check is not None and _is_end(frames):
            warning = await self._check()
            if warning and encoder.content_type.startswith(sse.CONTENT_TYPE):
                await write(sse.comment(f"warning: {warning}"))
        if self._splitter is not None:
            frames = self._splitter.frames(frames)
        if encoder.wants_usage and _is_end(frames) and not self._meter.is_settled:
            if piece := _rendered(frames[:-1], encoder, is_own=is_own):
                await write(piece)
            frames = (Frame(b"", (await self._settled(),)), frames[-1])
        if piece := _rendered(frames, encoder, is_own=is_own):
            await write(piece)


async def first_content(batches: AsyncIterator[Sequence[Frame]]) -> list[Frame]:
    """The frames up to and with the first that a client would see; until then another backend may take over."""
    frames: list[Frame] = []
    async for batch in batches:
        frames.extend(batch)
        if any(frame.has_content for frame in batch):
            break
    return frames


async def all_frames(batches: AsyncIterator[Sequence[Frame]]) -> list[Frame]:
    """The frames of a whole answer; nothing is forwarded of it before the end, so all of it may yet fail over."""
    return [frame async for batch in batches for frame in batch]


def rewritten(frames: Sequence[Frame], backend: str) -> list[Frame]:
    """An answer that came whole and is wanted as a stream, or the other way round: what it means, without its bytes.

    All of it is in these frames. Raises BackendFailed for one that nobody understands.
    """
    events = [event for frame in frames for event in frame.events]
    if any(frame.unread for frame in frames) or not _is_understood(events):
        raise BackendFailed(f"{backend} gave an answer that cannot be told in another form")
    return [Frame(b"", frame.events) for frame in frames]


def _rendered(frames: Sequence[Frame], encoder: Encoder, *, is_own: bool) -> bytes:
    """The client's bytes; frames of the client's own format are forwarded."""
    if len(frames) == 1:
        return encoder.forward(frames[0]) if is_own else encoder.encode(frames[0].events)
    return b"".join([encoder.forward(frame) if is_own else encoder.encode(frame.events) for frame in frames])


def _is_end(frames: Sequence[Frame]) -> bool:
    return bool(frames) and bool(frames[-1].events) and type(frames[-1].events[-1]) is Ended


def _is_understood(events: Sequence[Event]) -> bool:
    """Whether it is known what a whole answer says: then it has a finish reason."""
    return any(type(event) is Finished for event in events)

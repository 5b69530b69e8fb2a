"""The path of every request to a backend: plan, admit, attempt, commit, meter."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from random import random
from typing import Protocol, TypeVar

from msgspec.structs import replace

from router.admission.gate import Gate
from router.canonical.adapter import Adapter, Attempt, Reply, Vectors
from router.canonical.events import Ended, Event, Finished, Frame, UsageReported
from router.canonical.fold import fold
from router.canonical.request import ChatRequest, EmbedRequest
from router.canonical.thinking import Splitter, splitter
from router.dialects import Encoder, openai_chat
from router.errors import (
    BackendError,
    BackendFailed,
    BackendRefusedKey,
    BackendTimeout,
    BackendUnreachable,
    ContextLengthExceeded,
    NoBackend,
    RouterError,
)
from router.routing.catalog import Catalog
from router.routing.health import Health
from router.routing.plan import Candidate, Plan, Wanted, plan
from router.usage.estimate import settled, settled_embedding
from router.usage.meter import Meter
from router.usage.record import FailedAttempt
from router.usage.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
BACKOFF_S = 0.1
MAX_QUEUE_WAIT_S = 120.0

T = TypeVar("T")

_UNTRACED = nullcontext()


@dataclass(slots=True)
class Progress:
    """How far a request has come: what the answer's headers say, whether it succeeds or fails.

    `sole` is whether there is only one model on one backend that may serve it, `committed` whether a backend has begun
    to answer, so that no other can take over. `usage` is what a whole answer has cost, once that is known; `meter` is
    that of the last attempt, `failed` are those that failed.
    """

    operation: str = ""
    reason: str = ""
    attempts: int = 0
    backend: str = ""
    model: str = ""
    dropped: tuple[str, ...] = ()
    warning: str = ""
    sole: bool = False
    committed: bool = False
    usage: UsageReported | None = None
    meter: Meter | None = None
    failed: list[FailedAttempt] = field(default_factory=list[FailedAttempt])


@dataclass(frozen=True, slots=True)
class Fleet:
    """What there is to choose from: the settings' snapshot, the state of every backend, and the way to each."""

    catalog: Catalog
    health: Health
    adapters: Mapping[str, Adapter]
    totals: Mapping[str, float] = field(default_factory=dict[str, float])
    """The longest a request may take on each backend, in seconds."""
    optional: frozenset[str] = frozenset()
    """Backends that nobody configured: places where one may turn up."""


class Answer:
    """An answer that a backend has committed itself to; `first` are the frames that are already here."""

    __slots__ = ("_batches", "_first", "_meter", "_reply", "_settled", "_splitter", "usage")

    def __init__(
        self,
        reply: Reply,
        first: Sequence[Frame],
        *,
        batches: AsyncIterator[Sequence[Frame]],
        meter: Meter,
        settled: Callable[[], Awaitable[UsageReported]],
        splitter: Splitter | None = None,
    ) -> None:
        self._reply = reply
        self._first = first
        self._batches = batches
        self._meter = meter
        self._settled = settled
        self._splitter = splitter
        self.usage: UsageReported | None = None

    async def stream(self, encoder: Encoder, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Writes the client's bytes as they become known; what arrived together is written together."""
        await self._say(self._first, encoder, write)
        observe, is_own = self._meter.observe, self._reply.dialect == encoder.dialect
        is_plain = self._splitter is None and not encoder.wants_usage
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
        events = [event for frame in frames for event in frame.events]
        raw = frames[0].raw if len(frames) == 1 and self._reply.dialect == encoder.dialect else b""
        if raw and not _is_understood(events):
            return raw
        usage = self.usage = await self._settled()
        is_split = False
        if self._splitter is not None:
            events = self._splitter.events(events)
            is_split = self._splitter.has_changed()
        if raw and not is_split and not usage.estimated:
            return raw
        completed = replace(fold(events), usage=usage)
        if not raw:
            return encoder.whole(completed)
        choices = completed.choices if is_split else None
        return encoder.amended(raw, choices=choices, usage=usage if usage.estimated else None)

    async def _say(self, frames: Sequence[Frame], encoder: Encoder, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Frames that reasoning may have to be taken from, or that a count may have to be added to."""
        is_own = self._reply.dialect == encoder.dialect
        for frame in frames:
            self._meter.observe(frame.events)
        if self._splitter is not None:
            frames = self._splitter.frames(frames)
        if encoder.wants_usage and _is_end(frames) and not self._meter.is_settled:
            if piece := _rendered(frames[:-1], encoder, is_own=is_own):
                await write(piece)
            frames = (Frame(b"", (await self._settled(),)), frames[-1])
        if piece := _rendered(frames, encoder, is_own=is_own):
            await write(piece)


class Tracing(Protocol):
    """Whoever wants to know when an attempt begins and how it ends."""

    def attempt(self, progress: Progress, *, kind: str) -> AbstractContextManager[None]:
        """Surrounds one attempt on a backend of this kind; sees the exception that ends it and must not keep it."""
        ...


class Relay:
    """Takes requests to backends. Holds no state of its own between requests."""

    def __init__(self, fleet: Fleet, gate: Gate, tokenizer: Tokenizer, *, tracing: Tracing | None = None) -> None:
        self.fleet = fleet
        self.tokenizer = tokenizer
        self._gate = gate
        self._tracing = tracing

    async def chat(
        self, request: ChatRequest, wanted: Wanted, progress: Progress, deliver: Callable[[Answer], Awaitable[None]]
    ) -> None:
        """Hands the answer of the first candidate that begins one to `deliver`, which runs while everything is held.

        Raises RouterError before the first content, having tried what may be tried; afterwards only for this answer.
        """

        async def serve(candidate: Candidate) -> None:
            meter = progress.meter = Meter()
            adapter = self.fleet.adapters[candidate.target.backend]
            stream = adapter.config.streams(candidate.target.model, wanted=request.stream)
            asked = request if stream == request.stream else replace(request, stream=stream)
            async with adapter.chat(asked, _attempt(candidate, request.model)) as reply:
                progress.dropped = reply.dropped
                batches = reply.batches()
                first = await (_first_content(batches) if request.stream else _all(batches))
                meter.content(asyncio.get_running_loop().time())
                if asked is not request:
                    first = _rewritten(first, progress.backend, reply.dialect)
                self._commit(progress)
                bill = partial(settled, meter, request, self.tokenizer)
                profile, model = candidate.profile, candidate.target.model
                split = splitter(profile.split_thinking, model, live=request.stream)
                await deliver(Answer(reply, first, batches=batches, meter=meter, settled=bill, splitter=split))

        progress.operation = "chat"
        await self._first_to_serve(wanted, progress, serve)

    async def embed(self, request: EmbedRequest, wanted: Wanted, progress: Progress) -> Vectors:
        """Embeds the inputs on the first candidate that can; raises RouterError."""

        async def serve(candidate: Candidate) -> Vectors:
            adapter = self.fleet.adapters[candidate.target.backend]
            meter = progress.meter = Meter()
            vectors = await adapter.embed(request, _attempt(candidate, request.model))
            if vectors.usage is not None:
                meter.observe((vectors.usage,))
            progress.dropped = vectors.dropped
            self._commit(progress)
            return vectors

        progress.operation = "embeddings"
        vectors = await self._first_to_serve(wanted, progress, serve)
        progress.usage = await settled_embedding(vectors.usage, request, self.tokenizer)
        if progress.meter is not None:
            progress.meter.usage = progress.usage
        return replace(vectors, usage=progress.usage)

    def _commit(self, progress: Progress) -> None:
        """From here on no other backend can take over."""
        progress.committed = True
        now = asyncio.get_running_loop().time()
        self.fleet.health.succeeded(progress.backend, model=progress.model, now=now)

    async def _first_to_serve(
        self, wanted: Wanted, progress: Progress, serve: Callable[[Candidate], Awaitable[T]]
    ) -> T:
        """Runs on one candidate after another until one commits itself, all under one deadline."""
        now = asyncio.get_running_loop().time()
        chosen = plan(wanted, self.fleet.catalog, self.fleet.health, now=now, random=random)
        progress.reason, progress.sole = chosen.reason, len(chosen.candidates) == 1
        limit = self.fleet.totals.get(chosen.candidates[0].target.backend)
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                return await self._attempts(chosen, progress, serve)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise BackendTimeout(f"the request took longer than its limit of {limit:g} s") from None

    async def _attempts(self, chosen: Plan, progress: Progress, serve: Callable[[Candidate], Awaitable[T]]) -> T:
        """A backend that failed is asked for another model only after all others; one that could not be reached is
        tried again, after a pause, when nobody else is left."""
        waiting = deque(chosen.candidates)
        unreachable: list[Candidate] = []
        failures: list[RouterError] = []
        while waiting:
            candidate = waiting.popleft()
            progress.attempts += 1
            try:
                return await self._attempt(candidate, progress, serve)
            except RouterError as error:
                self._report(candidate, progress, error)
                if progress.committed or not error.retryable:
                    raise
                failures.append(error)
            if progress.attempts >= MAX_ATTEMPTS:
                break
            if failures[-1].blame == "backend":
                waiting = _put_last(waiting, candidate.target.backend)
            if isinstance(failures[-1], BackendUnreachable):
                unreachable.append(candidate)
            if not waiting and unreachable:
                waiting.extend(unreachable)
                unreachable.clear()
                await asyncio.sleep(BACKOFF_S * 2 ** (progress.attempts - 1) * (0.5 + random() / 2))  # noqa: S311
        raise _most_telling(failures)

    async def _attempt(self, candidate: Candidate, progress: Progress, serve: Callable[[Candidate], Awaitable[T]]) -> T:
        backend, health = candidate.target.backend, self.fleet.health
        progress.backend, progress.model, progress.dropped = backend, candidate.target.model, ()
        if backend not in self.fleet.adapters:
            raise NoBackend(f"{backend} is switched off in the settings")
        async with self._gate.admit(backend, max_wait_s=MAX_QUEUE_WAIT_S):
            was_trial = health.started(backend, now=asyncio.get_running_loop().time())
            try:
                with self._traced(progress):
                    return await serve(candidate)
            finally:
                health.ended(backend, was_trial=was_trial)

    def _traced(self, progress: Progress) -> AbstractContextManager[None]:
        if self._tracing is None:
            return _UNTRACED
        return self._tracing.attempt(progress, kind=self.fleet.adapters[progress.backend].kind)

    def _report(self, candidate: Candidate, progress: Progress, error: RouterError) -> None:
        target = candidate.target
        progress.failed.append(FailedAttempt(target.backend, target.model, type(error).code))
        self._blame(target.backend, target.model, error)
        if isinstance(error, BackendError):
            logger.warning("attempt %d on %s failed: %s", progress.attempts, target, _remembered(error))

    def _blame(self, backend: str, model: str, error: RouterError) -> None:
        if error.blame == "model":
            self.fleet.health.model_missing(backend, model)
        elif error.blame == "backend":
            self.fleet.health.failed(backend, _remembered(error), now=asyncio.get_running_loop().time())


def _attempt(candidate: Candidate, shown: str) -> Attempt:
    return Attempt(model=candidate.target.model, shown=shown, profile=candidate.profile)


def _rendered(frames: Sequence[Frame], encoder: Encoder, *, is_own: bool) -> bytes:
    """The client's bytes; frames of the client's own format are forwarded."""
    if len(frames) == 1:
        return encoder.forward(frames[0]) if is_own else encoder.encode(frames[0].events)
    return b"".join([encoder.forward(frame) if is_own else encoder.encode(frame.events) for frame in frames])


def _is_end(frames: Sequence[Frame]) -> bool:
    return bool(frames) and bool(frames[-1].events) and type(frames[-1].events[-1]) is Ended


async def _first_content(batches: AsyncIterator[Sequence[Frame]]) -> list[Frame]:
    """The frames up to and with the first that a client would see; until then another backend may take over."""
    frames: list[Frame] = []
    async for batch in batches:
        frames.extend(batch)
        if any(frame.has_content for frame in batch):
            break
    return frames


async def _all(batches: AsyncIterator[Sequence[Frame]]) -> list[Frame]:
    """The frames of a whole answer; nothing is forwarded of it before the end, so all of it may yet fail over."""
    return [frame async for batch in batches for frame in batch]


def _rewritten(frames: Sequence[Frame], backend: str, dialect: str) -> list[Frame]:
    """An answer that came whole and is wanted as a stream, or the other way round: what it means, without its bytes.

    All of it is in these frames. Raises BackendFailed for one that nobody understands: in OpenAI's format a frame
    without events is one whose fields have unknown types, in others it only keeps the connection alive.
    """
    is_readable = dialect != openai_chat.NAME or all(frame.events for frame in frames)
    events = [event for frame in frames for event in frame.events]
    if not is_readable or not _is_understood(events):
        raise BackendFailed(f"{backend} gave an answer that cannot be told in another form")
    return [Frame(b"", frame.events) for frame in frames]


def _is_understood(events: Sequence[Event]) -> bool:
    """Whether it is known what a whole answer says: then it has a finish reason."""
    return any(type(event) is Finished for event in events)


def _put_last(waiting: deque[Candidate], backend: str) -> deque[Candidate]:
    return deque(sorted(waiting, key=lambda candidate: candidate.target.backend == backend))


def _most_telling(failures: Sequence[RouterError]) -> RouterError:
    """The one that says soonest when to come back, else that the prompt is too long, which a client can mend at once,
    else the last that may pass, else the last."""
    if told := [error for error in failures if error.retry_after is not None]:
        return min(told, key=lambda error: error.retry_after or 0.0)
    if too_long := [error for error in failures if isinstance(error, ContextLengthExceeded)]:
        return too_long[0]
    return next((error for error in reversed(failures) if error.status >= 429), failures[-1])


def _remembered(error: RouterError) -> str:
    """What logs and health may keep of a failure: not a backend's own words, which can quote a prompt."""
    if isinstance(error, (BackendUnreachable, BackendRefusedKey)):
        return error.message
    return f"{error.code.replace('_', ' ')} ({error.status})"

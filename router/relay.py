"""The path of every request to a backend: plan, admit, attempt, commit, meter."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from random import random
from typing import Protocol, TypeVar

from router.admission.gate import Gate
from router.canonical.adapter import Adapter, Attempt, Reply, Vectors
from router.canonical.events import Frame
from router.canonical.fold import fold
from router.canonical.request import ChatRequest, EmbedRequest
from router.dialects import Encoder
from router.errors import (
    BackendError,
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
from router.usage.meter import Meter
from router.usage.record import FailedAttempt

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
    to answer, so that no other can take over. `meter` is that of the last attempt, `failed` are those that failed.
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

    __slots__ = ("_batches", "_first", "_meter", "_reply")

    def __init__(
        self, reply: Reply, first: Sequence[Frame], batches: AsyncIterator[Sequence[Frame]], meter: Meter
    ) -> None:
        self._reply = reply
        self._first = first
        self._batches = batches
        self._meter = meter

    async def stream(self, encoder: Encoder, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Writes the client's bytes as they become known; what arrived together is written together."""
        is_own = self._reply.dialect == encoder.dialect
        if piece := self._render(self._first, encoder, is_own=is_own):
            await write(piece)
        async for frames in self._batches:
            if piece := self._render(frames, encoder, is_own=is_own):
                await write(piece)

    async def body(self, encoder: Encoder) -> bytes:
        """The whole answer at once."""
        frames = [*self._first]
        async for more in self._batches:
            frames.extend(more)
        for frame in frames:
            self._meter.observe(frame.events)
        if len(frames) == 1 and frames[0].raw and self._reply.dialect == encoder.dialect:
            return frames[0].raw
        return encoder.whole(fold(event for frame in frames for event in frame.events))

    def _render(self, frames: Sequence[Frame], encoder: Encoder, *, is_own: bool) -> bytes:
        parts: list[bytes] = []
        for frame in frames:
            self._meter.observe(frame.events)
            parts.append(encoder.forward(frame) if is_own else encoder.encode(frame.events))
        return b"".join(parts) if len(parts) != 1 else parts[0]


class Tracing(Protocol):
    """Whoever wants to know when an attempt begins and how it ends."""

    def attempt(self, progress: Progress, *, kind: str) -> AbstractContextManager[None]:
        """Surrounds one attempt on a backend of this kind; sees the exception that ends it and must not keep it."""
        ...


class Relay:
    """Takes requests to backends. Holds no state of its own between requests."""

    def __init__(self, fleet: Fleet, gate: Gate, tracing: Tracing | None = None) -> None:
        self.fleet = fleet
        self._gate = gate
        self._tracing = tracing

    async def chat(
        self, request: ChatRequest, wanted: Wanted, progress: Progress, deliver: Callable[[Answer], Awaitable[None]]
    ) -> None:
        """Hands the answer of the first candidate that begins one to `deliver`, which runs while everything is held.

        Raises RouterError before the first content, having tried what may be tried; afterwards only for this answer.
        """

        async def serve(candidate: Candidate) -> None:
            meter = progress.meter = Meter(asyncio.get_running_loop().time())
            adapter = self.fleet.adapters[candidate.target.backend]
            async with adapter.chat(request, _attempt(candidate, request.model)) as reply:
                progress.dropped = reply.dropped
                batches = reply.batches()
                first = await _first_content(batches)
                meter.content(asyncio.get_running_loop().time())
                self._commit(progress)
                await deliver(Answer(reply, first, batches, meter))

        progress.operation = "chat"
        await self._first_to_serve(wanted, progress, serve)

    async def embed(self, request: EmbedRequest, wanted: Wanted, progress: Progress) -> Vectors:
        """Embeds the inputs on the first candidate that can; raises RouterError."""

        async def serve(candidate: Candidate) -> Vectors:
            adapter = self.fleet.adapters[candidate.target.backend]
            meter = progress.meter = Meter(asyncio.get_running_loop().time())
            vectors = await adapter.embed(request, _attempt(candidate, request.model))
            if vectors.usage is not None:
                meter.observe((vectors.usage,))
            progress.dropped = vectors.dropped
            self._commit(progress)
            return vectors

        progress.operation = "embeddings"
        return await self._first_to_serve(wanted, progress, serve)

    def _commit(self, progress: Progress) -> None:
        """From here on no other backend can take over."""
        progress.committed = True
        self.fleet.health.succeeded(progress.backend, now=asyncio.get_running_loop().time())

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


async def _first_content(batches: AsyncIterator[Sequence[Frame]]) -> list[Frame]:
    """The frames up to and with the first that a client would see; until then another backend may take over."""
    frames: list[Frame] = []
    async for batch in batches:
        frames.extend(batch)
        if any(frame.has_content for frame in batch):
            break
    return frames


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

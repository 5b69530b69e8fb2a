"""Every request to a backend: plan, admit, attempt, commit, meter."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from msgspec.structs import replace

from router.admission.gate import Gate
from router.canonical.adapter import Attempt, Vectors
from router.canonical.request import ChatRequest, EmbedRequest
from router.canonical.thinking import splitter
from router.relay.answer import Answer, Ending, all_frames, first_content, rewritten
from router.relay.attempts import Attempts, Tracing
from router.relay.contract import Contract
from router.relay.progress import Fleet, Progress
from router.routing.plan import Candidate, Wanted
from router.usage.estimate import settled, settled_embedding
from router.usage.lessons import Lessons
from router.usage.meter import Meter
from router.usage.tokenizer import Tokenizer


class Relay:
    """Takes requests to backends. Holds no state of its own between requests."""

    def __init__(
        self, fleet: Fleet, gate: Gate, tokenizer: Tokenizer, *, lessons: Lessons, tracing: Tracing | None = None
    ) -> None:
        self.fleet = fleet
        self.tokenizer = tokenizer
        self._contract = Contract(fleet, tokenizer, lessons)
        self._attempts = Attempts(fleet, gate, tracing=tracing)

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
            attempt = self._attempt(candidate, request.model)
            async with adapter.chat(asked, attempt) as reply:
                progress.dropped = reply.dropped
                batches = reply.batches()
                first = await (first_content(batches) if request.stream else all_frames(batches))
                meter.content(asyncio.get_running_loop().time())
                if asked is not request:
                    first = rewritten(first, progress.backend, reply.dialect)
                self._commit(progress)
                bill = partial(settled, meter, request, self.tokenizer)
                ending = Ending(bill, self._check(candidate, request, progress))
                profile, model = candidate.profile, candidate.target.model
                split = splitter(profile.split_thinking, model, live=request.stream)
                await deliver(Answer(reply, first, batches=batches, meter=meter, ending=ending, splitter=split))
                self._contract.learn(candidate, request, progress)

        progress.operation = "chat"
        narrow = partial(self._contract.narrowed, request=request, progress=progress)
        await self._attempts.first_to_serve(wanted, progress, serve, narrow=narrow)

    async def embed(self, request: EmbedRequest, wanted: Wanted, progress: Progress) -> Vectors:
        """Embeds the inputs on the first candidate that can; raises RouterError."""

        async def serve(candidate: Candidate) -> Vectors:
            adapter = self.fleet.adapters[candidate.target.backend]
            meter = progress.meter = Meter()
            vectors = await adapter.embed(request, self._attempt(candidate, request.model))
            if vectors.usage is not None:
                meter.observe((vectors.usage,))
            progress.dropped = vectors.dropped
            self._commit(progress)
            return vectors

        progress.operation = "embeddings"
        vectors = await self._attempts.first_to_serve(wanted, progress, serve)
        progress.usage = await settled_embedding(vectors.usage, request, self.tokenizer)
        if progress.meter is not None:
            progress.meter.usage = progress.usage
        return replace(vectors, usage=progress.usage)

    def _commit(self, progress: Progress) -> None:
        """From here on no other backend can take over."""
        progress.committed = True
        now = asyncio.get_running_loop().time()
        self.fleet.health.succeeded(progress.backend, model=progress.model, now=now)

    def _attempt(self, candidate: Candidate, shown: str) -> Attempt:
        return Attempt(model=candidate.target.model, shown=shown, profile=self._contract.profile(candidate))

    def _check(
        self, candidate: Candidate, request: ChatRequest, progress: Progress
    ) -> Callable[[], Awaitable[str]] | None:
        """Finds out, once the answer is whole, whether its prompt was; None where that need not be asked."""
        if not request.stream:
            progress.window = self._contract.window(candidate, request)
        if not self._contract.watches(candidate, request):
            return None

        async def check() -> str:
            warning = await self._contract.warning(candidate, request, progress)
            progress.warning = "; ".join(filter(None, (progress.warning, warning)))
            return warning

        return check

"""Every request to a backend: plan, admit, attempt, commit, meter."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from router.admission.gate import Gate
from router.canonical.adapter import Vectors
from router.canonical.auxiliary import AuxiliaryAnswer, AuxiliaryRequest
from router.canonical.completion import CompletionRequest
from router.canonical.request import ChatRequest, EmbedRequest
from router.errors import RouterError, UnknownModel
from router.relay.answer import Answer
from router.relay.attempts import Attempts, Tracing
from router.relay.chat import Chat
from router.relay.contract import Contract
from router.relay.fleet import Fleet
from router.relay.progress import Progress
from router.relay.turn import Turn
from router.routing.plan import Plan
from router.routing.wanted import Wanted
from router.usage.estimate import settled_embedding
from router.usage.lessons import Lessons
from router.usage.meter import Meter
from router.usage.tokenizer import Tokenizer


class Relay:
    """Takes requests to backends. What it keeps between requests is in `Attempts` and in the contract."""

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
        is_text = isinstance(request, CompletionRequest)
        progress.operation, progress.request = "completions" if is_text else "chat", request
        narrow = partial(self._contract.narrowed, request=request.longest() if is_text else request, progress=progress)
        work = Chat(request, progress, deliver=deliver, contract=self._contract, tokenizer=self.tokenizer)
        await self._attempts.first_to_serve(wanted, progress, work, narrow=narrow)

    async def foreseen(self, request: ChatRequest, wanted: Wanted) -> Plan:
        """Where a request would go, and who is out of question for what; nothing is sent and nothing learned."""
        chosen = self.fleet.plan(wanted, now=asyncio.get_running_loop().time())
        return await self._contract.foreseen(chosen, request)

    async def prompt_tokens(self, request: ChatRequest, wanted: Wanted, progress: Progress) -> int:
        """How many tokens a prompt is for the candidate that would be asked first, by its own count or estimated.

        Raises RouterError where planning would make the request fail.
        """
        chosen = self.fleet.plan(wanted, now=asyncio.get_running_loop().time())
        if chosen.pull is not None:
            raise UnknownModel(f"nobody has the model '{wanted.model[:200]}' yet", param="model")
        progress.reason = chosen.reason
        first = chosen.candidates[0]
        progress.backend, progress.model = first.target.backend, first.target.model
        progress.usage = await self._contract.prompt_usage(first, request)
        return progress.usage.prompt or 0

    async def embed(self, request: EmbedRequest, wanted: Wanted, progress: Progress) -> Vectors:
        """Embeds the inputs on the first candidate that can; raises RouterError."""
        progress.operation = "embeddings"
        vectors = await self._attempts.first_to_serve(wanted, progress, _Embedding(request, self._contract))
        progress.usage = await settled_embedding(vectors.usage, request, self.tokenizer)
        if progress.meter is not None:
            progress.meter.usage = progress.usage
        return replace(vectors, usage=progress.usage)

    async def keep(self, model: str, keep_alive: float | str | None, wanted: Wanted, progress: Progress) -> None:
        """Loads a model, or lets it go, on the first candidate that has a turn for it; raises RouterError."""
        progress.operation = "load"
        await self._attempts.first_to_serve(wanted.as_it_is(), progress, _Keeping(model, keep_alive, self._contract))

    async def auxiliary(self, request: AuxiliaryRequest, wanted: Wanted, progress: Progress) -> AuxiliaryAnswer:
        """Does one of the smaller jobs on the first candidate that can; raises RouterError."""
        progress.operation = request.operation
        answer = await self._attempts.first_to_serve(wanted.as_it_is(), progress, _Auxiliary(request, self._contract))
        progress.usage = answer.usage
        return answer


@dataclass(frozen=True, slots=True)
class _Embedding:
    """Embeddings as the work that candidates are given."""

    request: EmbedRequest
    contract: Contract
    may_compete: bool = False

    async def serve(self, turn: Turn, *, loading: bool) -> Vectors:
        adapter, progress = turn.adapter, turn.progress
        meter = progress.meter = Meter()
        attempt = self.contract.attempt(turn.candidate, self.request.model, loading=loading)
        vectors = await adapter.embed(self.request, attempt)
        if vectors.usage is not None:
            meter.observe((vectors.usage,))
        progress.dropped = vectors.dropped
        turn.commit(turn)
        return vectors

    def goes_on(self, turn: Turn, error: RouterError) -> bool:  # noqa: ARG002
        """There is only one piece."""
        return False


@dataclass(frozen=True, slots=True)
class _Keeping:
    """A model that is to be loaded, or to go, as the work that candidates are given."""

    model: str
    keep_alive: float | str | None
    contract: Contract
    may_compete: bool = False

    async def serve(self, turn: Turn, *, loading: bool) -> None:
        attempt = self.contract.attempt(turn.candidate, self.model, loading=loading)
        await self.contract.adapter(turn.candidate).keep(attempt, self.keep_alive)
        turn.commit(turn)

    def goes_on(self, turn: Turn, error: RouterError) -> bool:  # noqa: ARG002
        """There is only one piece."""
        return False


@dataclass(frozen=True, slots=True)
class _Auxiliary:
    """A smaller job as the work that candidates are given."""

    request: AuxiliaryRequest
    contract: Contract
    may_compete: bool = False

    async def serve(self, turn: Turn, *, loading: bool) -> AuxiliaryAnswer:
        meter = turn.progress.meter = Meter()
        attempt = self.contract.attempt(turn.candidate, self.request.model, loading=loading)
        answer = await self.contract.adapter(turn.candidate).auxiliary(self.request, attempt)
        if answer.usage is not None:
            meter.observe((answer.usage,))
        turn.commit(turn)
        return answer

    def goes_on(self, turn: Turn, error: RouterError) -> bool:  # noqa: ARG002
        """There is only one piece."""
        return False

"""The context contract: no prompt goes where it does not fit, and none is cut in silence."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from router.canonical.adapter import Adapter, Attempt, ContextRules
from router.canonical.completion import CompletionRequest
from router.canonical.events import UsageReported
from router.canonical.models import ModelInfo, canonical_name
from router.canonical.request import ChatRequest, Profile
from router.errors import ContextLengthExceeded
from router.relay.progress import Fleet, Progress
from router.routing.catalog import Target
from router.routing.health import Readiness
from router.routing.plan import Candidate, Plan
from router.routing.window import (
    Fit,
    Need,
    Pins,
    answer_limit,
    asked_window,
    fits,
    may_be_cut,
    model_of,
    refusal,
    surely_fits,
    window,
)
from router.usage.calibration import Kind
from router.usage.lessons import SIZES, Lessons
from router.usage.prompt import Count, prompt_count
from router.usage.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

COUNT_S = 2.0
"""How long a backend may take to count a prompt; after that the estimate has to do."""
MAX_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class _Judgement:
    candidate: Candidate
    window: int
    need: Need
    fits: bool


class Contract:
    """Knows every target's window and counts prompts, the more exactly the nearer they are to it."""

    def __init__(self, fleet: Fleet, tokenizer: Tokenizer, lessons: Lessons) -> None:
        self.lessons = lessons
        self._fleet = fleet
        self._tokenizer = tokenizer
        self._pins = Pins(fleet.catalog)
        self._known: dict[Target, tuple[Sequence[ModelInfo], ModelInfo | None]] = {}

    def profile(self, candidate: Candidate) -> Profile:
        """What goes with a request to this candidate: its alias's profile, and what others pin for the model."""
        return self._pins.completed(candidate.target, candidate.profile)

    def attempt(self, candidate: Candidate, shown: str, *, loading: bool = False) -> Attempt:
        """What the candidate's adapter is told."""
        return Attempt(model=candidate.target.model, shown=shown, profile=self.profile(candidate), loading=loading)

    def window(self, candidate: Candidate, request: ChatRequest) -> int | None:
        """The tokens that prompt and answer may have there; None where nobody knows or the alias does not care."""
        adapter = self._fleet.adapters.get(candidate.target.backend)
        if adapter is None:
            return None
        profile = self.profile(candidate)
        asked = asked_window(request, profile) if profile.client_options else None
        return window(profile, self._model(candidate.target, adapter.rules), adapter.rules, asked=asked)

    def _model(self, target: Target, rules: ContextRules) -> ModelInfo | None:
        health = self._fleet.health[target.backend]
        found = self._known.get(target)
        if found is None or found[0] is not health.models:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            found = self._known[target] = (health.models, model_of(health, target.model, rules))
        return found[1]

    async def narrowed(self, chosen: Plan, request: ChatRequest, progress: Progress) -> Plan:
        """The plan without the candidates that the request does not fit; nearly always the plan itself, at once.

        Raises ContextLengthExceeded when nobody is left.
        """
        for candidate in chosen.candidates:
            size = self._limit(candidate, request)
            if size is None:
                continue
            answer = answer_limit(request, candidate.profile)
            if not surely_fits(request, size, answer, self.adapter(candidate).rules):
                return await self._fitting(chosen, request, progress)
        return chosen

    def _limit(self, candidate: Candidate, request: ChatRequest) -> int | None:
        """The window, but for an alias that lets the backend cut what does not fit."""
        return None if candidate.profile.truncate else self.window(candidate, request)

    def adapter(self, candidate: Candidate) -> Adapter:
        """The way to the candidate's backend."""
        return self._fleet.adapters[candidate.target.backend]

    async def _fitting(self, chosen: Plan, request: ChatRequest, progress: Progress) -> Plan:
        """An estimate that is not sure refuses nothing: the backend would refuse it itself."""
        count = progress.count = await prompt_count(request, self._tokenizer)
        kept: list[Candidate] = []
        refused: list[_Judgement] = []
        for candidate in chosen.candidates:
            size = self._limit(candidate, request)
            judged = size and await self._judged(candidate, request, count=count, size=size, first=not kept)
            if not judged or judged.fits:
                kept.append(candidate)
            else:
                refused.append(judged)
        if not refused:
            return chosen
        param = "prompt" if isinstance(request, CompletionRequest) else "messages"
        progress.too_long = _too_long(max(refused, key=lambda judged: judged.window), param=param)
        if not kept:
            raise progress.too_long
        is_other = kept[0] is not chosen.candidates[0]
        return replace(
            chosen, candidates=tuple(kept), reason=f"{chosen.reason}, larger context" if is_other else chosen.reason
        )

    async def _judged(
        self, candidate: Candidate, request: ChatRequest, *, count: Count, size: int, first: bool
    ) -> _Judgement:
        """Whether it fits. Only of the candidate that would come first an exact count is worth its time."""
        adapter = self.adapter(candidate)
        ratio = self.lessons.calibration.ratio(self._kind(candidate, foreign=count.foreign))
        answer = answer_limit(request, candidate.profile)
        need = Need(*count.corrected(ratio), answer)
        fit = fits(need, size, adapter.rules)
        if fit is Fit.CLOSE and first and candidate.readiness is not Readiness.DOWN:
            exact = await adapter.prompt_tokens(request, self.attempt(candidate, request.model), timeout_s=COUNT_S)
            if exact is not None:
                need = Need(exact, exact, exact, answer)
                fit = Fit.YES if exact + need.room(adapter.rules) <= size else Fit.NO
        return _Judgement(candidate, size, need, fit is not Fit.NO)

    async def prompt_usage(self, candidate: Candidate, request: ChatRequest) -> UsageReported:
        """The tokens of a prompt, by the backend's own count where it makes one, else estimated."""
        adapter = self._fleet.adapters.get(candidate.target.backend)
        if adapter is not None and candidate.readiness is not Readiness.DOWN:
            attempt = self.attempt(candidate, request.model)
            if (exact := await adapter.prompt_tokens(request, attempt, timeout_s=COUNT_S)) is not None:
                return UsageReported(prompt=exact)
        count = await prompt_count(request, self._tokenizer)
        if adapter is None:
            return UsageReported(prompt=count.tokens, estimated=True)
        ratio = self.lessons.calibration.ratio(self._kind(candidate, foreign=count.foreign))
        return UsageReported(prompt=count.corrected(ratio)[0], estimated=True)

    def _kind(self, candidate: Candidate, *, foreign: bool = False) -> Kind:
        return Kind(self.adapter(candidate).kind, canonical_name(candidate.target.model), foreign)

    def watches(self, candidate: Candidate, request: ChatRequest) -> bool:
        """Whether the answer should be compared with the prompt, because the backend might have cut it."""
        return self.adapter(candidate).rules.cuts and may_be_cut(request)

    async def warning(self, candidate: Candidate, request: ChatRequest, progress: Progress) -> str:
        """What to tell a client whose prompt the backend has cut, by its own count; empty when it has not."""
        usage = progress.meter.usage if progress.meter else None
        read = usage.prompt if usage else None
        size = self.window(candidate, request)
        if not read or not may_be_cut(request, read=read, window=size, truncates=candidate.profile.truncate):
            return ""
        count = progress.count = progress.count or await prompt_count(request, self._tokenizer)
        ratio = self.lessons.calibration.ratio(self._kind(candidate, foreign=count.foreign))
        likely, low, _ = count.corrected(ratio)
        if read >= low or (count.guessed and read * 2 >= low):
            return ""
        progress.is_cut = True
        logger.warning("%s has cut a prompt: it read %d of about %d tokens", candidate.target, read, likely)
        return f"{candidate.target.backend} has cut the prompt: it read {read} of about {likely} tokens"

    def check(
        self, candidate: Candidate, request: ChatRequest, progress: Progress
    ) -> Callable[[], Awaitable[str]] | None:
        """Finds out, once the answer is whole, whether its prompt was; None where that need not be asked."""
        if not request.stream:
            progress.window = self.window(candidate, request)
        if not self.watches(candidate, request):
            return None

        async def check() -> str:
            warning = await self.warning(candidate, request, progress)
            progress.warning = "; ".join(filter(None, (progress.warning, warning)))
            return warning

        return check

    def learn(self, candidate: Candidate, request: ChatRequest, progress: Progress) -> None:
        """What an answer teaches about estimates, which are of prompts that a template writes."""
        if isinstance(request, CompletionRequest) or (progress.count is None and request.size not in SIZES):
            return
        usage = progress.meter.usage if progress.meter else None
        if usage is not None and _is_counted(usage) and not progress.is_cut and not candidate.profile.truncate:
            kind = self._kind(candidate)
            self.lessons.offer(request, kind.backend, kind.model, true=usage.prompt or 0, count=progress.count)


def _is_counted(usage: UsageReported) -> bool:
    return bool(usage.prompt) and not usage.estimated


def _too_long(judged: _Judgement, *, param: str) -> ContextLengthExceeded:
    return ContextLengthExceeded(refusal(judged.need, judged.window), param=param)

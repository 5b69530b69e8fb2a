"""A stream that broke off and goes on elsewhere: when that is possible, and how the parts become one answer."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from router.canonical.completion import CompletionRequest
from router.canonical.events import Event, Frame, ReasoningDelta, ReasoningSigned, Started, UsageReported
from router.canonical.request import ChatRequest, Profile
from router.dialects.openai_chat import continued
from router.errors import BackendError, RouterError, UnsupportedParameter
from router.usage.meter import Meter


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the client has of the answer already. `tokens` is an estimate, `prompt` what the first backend counted."""

    text: str
    tokens: int
    prompt: int | None = None
    first_content_at: float | None = None

    def meter(self) -> Meter:
        """A meter of the whole answer, as far as it goes."""
        meter = Meter()
        meter.said.append(self.text)
        meter.first_content_at = self.first_content_at
        return meter

    def request(self, request: ChatRequest, profile: Profile) -> ChatRequest:
        """The request for the rest, whose limit is what the answer may still have, and at least one token."""
        limits = [limit for limit in (request.sampling.max_tokens, profile.max_tokens) if limit is not None]
        left = max(1, min(limits) - self.tokens) if limits else None
        if isinstance(request, CompletionRequest):
            return request.continued(self.text, left)
        return continued(request, self.text, left)

    async def spliced(self, batches: AsyncIterator[Sequence[Frame]], backend: str) -> AsyncIterator[Sequence[Frame]]:
        """The rest as a part of the answer that has begun: it does not start again, and its usage is that of both.

        Raises UnsupportedParameter when the model thinks first: what it thinks belongs before the text.
        """
        async for frames in batches:
            told = [Frame(b"", events) for frame in frames if (events := self._events(frame.events, backend))]
            if told:
                yield told

    def _events(self, events: Sequence[Event], backend: str) -> tuple[Event, ...]:
        told: list[Event] = []
        for event in events:
            if isinstance(event, (ReasoningDelta, ReasoningSigned)):
                raise UnsupportedParameter(f"{backend} began to think where it was to continue")
            if isinstance(event, UsageReported):
                told.append(self._usage(event))
            elif not isinstance(event, Started):
                told.append(event)
        return tuple(told)

    def _usage(self, rest: UsageReported) -> UsageReported:
        """The prompt of the first part and the output of both. The rest's prompt holds the text so far."""
        prompt = self.prompt
        if prompt is None and rest.prompt is not None:
            prompt = max(rest.prompt - self.tokens, 1)
        completion = None if rest.completion is None else self.tokens + rest.completion
        return replace(rest, prompt=prompt, completion=completion, cached=None, reasoning=None, estimated=True)


def is_resumable(request: ChatRequest, profile: Profile, error: RouterError) -> bool:
    """Whether another backend could go on with a stream of this request.

    Not where a grammar begins with the answer (a response format), where several answers are told at once, where
    every token has to be told of, nor where the client had begun the answer already. A text goes on as a longer prompt.
    """
    return (
        profile.resume
        and request.stream
        and isinstance(error, BackendError)
        and request.n == 1
        and (not isinstance(request, CompletionRequest) or request.continues)
        and not request.logprobs
        and (request.response_format is None or request.response_format.kind == "text")
        and request.messages[-1].role != "assistant"
    )

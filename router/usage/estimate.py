"""What a request and its answer cost where the backend does not say: an estimate, which says that it is one."""

from collections.abc import Sequence

from msgspec.structs import replace

from router.canonical.events import UsageReported
from router.canonical.request import ChatRequest, EmbedRequest
from router.usage.meter import Meter
from router.usage.prompt import TOOL_TOKENS, Prompt, Sample
from router.usage.tokenizer import Tokenizer


class Bill:
    """What has to be counted for one answer, as samples of its texts: nothing else of the request is kept."""

    __slots__ = ("_calls", "_prompt", "_said", "_usage")

    def __init__(self, meter: Meter, request: ChatRequest, *, is_whole: bool = True) -> None:
        self._usage = meter.usage or UsageReported()
        self._calls = meter.calls
        self._prompt = None if self._usage.prompt else Prompt(request)
        self._said = None if self._usage.completion and is_whole else Sample(meter.said)

    @property
    def texts(self) -> tuple[str, ...]:
        """What to count, each by itself."""
        prompt = (self._prompt.messages, self._prompt.tools) if self._prompt else ()
        said = (self._said,) if self._said else ()
        return tuple(sample.text for sample in (*prompt, *said))

    def settled(self, counts: Sequence[int]) -> UsageReported:
        """What it all comes to when `texts` are so many tokens; a count of the backend wins if it is higher."""
        prompt, completion = self._usage.prompt, self._usage.completion or 0
        if self._prompt is not None:
            prompt = self._prompt.count(counts[0], counts[1]).tokens
        if self._said is not None:
            completion = max(completion, round(self._said.tokens(counts[-1])) + TOOL_TOKENS * self._calls)
        return replace(self._usage, prompt=prompt, completion=completion, estimated=True)


def owed(meter: Meter | None, request: ChatRequest | None, *, is_whole: bool) -> Bill | None:
    """The bill for an answer that a backend had begun; None if there is nothing to estimate.

    One that broke off was counted for its beginning only, if at all.
    """
    if meter is None or request is None or (meter.is_settled and (is_whole or not any(meter.said))):
        return None
    return Bill(meter, request, is_whole=is_whole)


async def settled(meter: Meter, request: ChatRequest, tokenizer: Tokenizer) -> UsageReported:
    """What the backend counted; what it did not is estimated, and the whole then called an estimate.

    The meter knows it from then on.
    """
    if meter.is_settled:
        return meter.usage or UsageReported()
    bill = Bill(meter, request)
    meter.usage = bill.settled([await tokenizer.count(text) for text in bill.texts])
    return meter.usage


async def settled_embedding(usage: UsageReported | None, request: EmbedRequest, tokenizer: Tokenizer) -> UsageReported:
    """The same for embeddings, which have a prompt alone."""
    if usage is not None and usage.prompt:
        return usage
    sample = Sample(request.inputs)
    prompt = round(sample.tokens(await tokenizer.count(sample.text)))
    return UsageReported(prompt, estimated=True)

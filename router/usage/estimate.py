"""What a request and its answer cost where the backend does not say: an estimate, which says that it is one."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from router.canonical.events import UsageReported
from router.canonical.request import ChatRequest, EmbedRequest, Message, TextPart
from router.usage.meter import Meter
from router.usage.tokenizer import Tokenizer

MESSAGE_TOKENS = 4
"""What a chat template writes around a message: `<|im_start|>`, the role, a line break, `<|im_end|>`."""
REPLY_TOKENS = 3
"""The opening of the answer, which the template adds to the prompt."""
TOOL_TOKENS = 12
"""What a template writes around a tool, or around a call of one."""
IMAGE_TOKENS = 576
"""An image, or another part that is no text: what a CLIP encoder of 336 pixels makes of one (LLaVA's 24 x 24)."""

MAX_CHARS = 200_000
"""Text beyond this is taken to be like the text before it."""
MAX_MESSAGES = 4_000
"""Messages beyond this too: looking at each of them takes the event loop's time."""


class _Sample:
    """Text to count: the first MAX_CHARS of it, and how long all of it is."""

    def __init__(self, pieces: Iterable[str] = ()) -> None:
        self._pieces: list[str] = []
        self._length = 0
        for piece in pieces:
            self.add(piece)

    def add(self, text: str) -> None:
        room = MAX_CHARS - self._length
        if room > 0:
            self._pieces.append(text[:room])
        self._length += len(text)

    @property
    def text(self) -> str:
        """The part to count."""
        return "".join(self._pieces)

    def tokens(self, counted: int) -> float:
        """How many tokens all of the text is when `text` is so many."""
        kept = min(self._length, MAX_CHARS)
        return counted * (self._length / kept) if kept else 0.0


class _Prompt:
    """Samples of the messages and the tools of a request, and what a template adds to them."""

    def __init__(self, request: ChatRequest) -> None:
        self.messages, self.tools = _Sample(), _Sample()
        looked_at = request.messages[:MAX_MESSAGES]
        self._fixed = sum(_message(message, self.messages) for message in looked_at)
        self._share = len(request.messages) / max(len(looked_at), 1)
        self._added = TOOL_TOKENS * len(request.tools) + REPLY_TOKENS
        for tool in request.tools:
            self.tools.add(tool.name)
            self.tools.add(tool.description or "")
            self.tools.add(bytes(tool.parameters or b"").decode("utf-8", "replace"))

    def tokens(self, messages: int, tools: int) -> int:
        """About how many tokens the prompt is when the samples are so many."""
        said = (self._fixed + self.messages.tokens(messages)) * self._share
        return round(said + self.tools.tokens(tools)) + self._added


class Bill:
    """What has to be counted for one answer, as samples of its texts: nothing else of the request is kept."""

    __slots__ = ("_calls", "_prompt", "_said", "_usage")

    def __init__(self, meter: Meter, request: ChatRequest, *, is_whole: bool = True) -> None:
        self._usage = meter.usage or UsageReported()
        self._calls = meter.calls
        self._prompt = None if self._usage.prompt else _Prompt(request)
        self._said = None if self._usage.completion and is_whole else _Sample(meter.said)

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
            prompt = self._prompt.tokens(counts[0], counts[1])
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
    sample = _Sample(request.inputs)
    prompt = round(sample.tokens(await tokenizer.count(sample.text)))
    return UsageReported(prompt, estimated=True)


async def prompt_tokens(request: ChatRequest, tokenizer: Tokenizer) -> int:
    """About how many tokens a prompt is, with what a template adds, with tools and images."""
    prompt = _Prompt(request)
    return prompt.tokens(await tokenizer.count(prompt.messages.text), await tokenizer.count(prompt.tools.text))


def _message(message: Message, sample: _Sample) -> int:
    """Adds the text of a message to a sample; the tokens of all that is not its text."""
    tokens = MESSAGE_TOKENS + TOOL_TOKENS * len(message.tool_calls)
    if message.name:
        sample.add(message.name)
    for part in message.parts:
        if isinstance(part, TextPart):
            sample.add(part.text)
        else:
            tokens += IMAGE_TOKENS
    for call in message.tool_calls:
        sample.add(call.name)
        sample.add(call.arguments)
    return tokens

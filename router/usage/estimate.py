"""What a request and its answer cost where the backend does not say: an estimate, which says that it is one."""

from collections.abc import Iterable

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

    async def tokens(self, tokenizer: Tokenizer) -> float:
        """How many tokens all of the text is."""
        text = "".join(self._pieces)
        return await tokenizer.count(text) * (self._length / len(text)) if text else 0


async def settled(meter: Meter, request: ChatRequest, tokenizer: Tokenizer) -> UsageReported:
    """What the backend counted; what it did not is estimated, and the whole then called an estimate.

    The meter knows it from then on.
    """
    usage = meter.usage or UsageReported()
    if meter.is_settled:
        return usage
    prompt = usage.prompt or await prompt_tokens(request, tokenizer)
    completion = usage.completion
    if not completion:
        completion = round(await _Sample(meter.said).tokens(tokenizer)) + TOOL_TOKENS * meter.calls
    meter.usage = replace(usage, prompt=prompt, completion=completion, estimated=True)
    return meter.usage


async def settled_embedding(usage: UsageReported | None, request: EmbedRequest, tokenizer: Tokenizer) -> UsageReported:
    """The same for embeddings, which have a prompt alone."""
    if usage is not None and usage.prompt:
        return usage
    prompt = round(await _Sample(request.inputs).tokens(tokenizer))
    return UsageReported(prompt, estimated=True)


async def prompt_tokens(request: ChatRequest, tokenizer: Tokenizer) -> int:
    """About how many tokens a prompt is, with what a template adds, with tools and images."""
    sample = _Sample()
    looked_at = request.messages[:MAX_MESSAGES]
    fixed = sum(_message(message, sample) for message in looked_at)
    messages = (fixed + await sample.tokens(tokenizer)) * (len(request.messages) / max(len(looked_at), 1))
    tools = _Sample()
    for tool in request.tools:
        tools.add(tool.name)
        tools.add(tool.description or "")
        tools.add(bytes(tool.parameters or b"").decode("utf-8", "replace"))
    return round(messages + await tools.tokens(tokenizer)) + TOOL_TOKENS * len(request.tools) + REPLY_TOKENS


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

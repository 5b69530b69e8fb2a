"""What a request and its answer cost where the backend does not say: an estimate, which says that it is one."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from router.canonical.events import UsageReported
from router.canonical.request import ChatRequest, EmbedRequest, Message, TextPart
from router.usage.calibration import FOREIGN, Ratio
from router.usage.meter import Meter
from router.usage.tokenizer import Tokenizer, guess

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


MARGIN = 0.15
"""How far from the truth an estimate of English or code may be, as a part of it, whatever vocabulary the model has."""
FOREIGN_MARGIN = 3.0
"""The same of other languages, where one vocabulary needs a quarter of what another does."""
SPREADS = 3.0
"""A corrected estimate is not further off than so many times what it usually is."""
IMAGE_RANGE = (64, 2_000)
"""The fewest and the most tokens that models make of an image."""
TOOLS_RANGE = (0.5, 1.5)
"""Templates leave parts of tool schemas out, or explain at length how to call them."""


class Count(Struct, frozen=True, gc=False):
    """A prompt in estimated tokens: its text with what a template adds, its tools, and its `images` by number.

    `foreign` is whether much of it is no ASCII, `guessed` whether it is known by its length alone.
    """

    text: float
    tools: float = 0
    images: int = 0
    foreign: bool = False
    guessed: bool = False

    @property
    def tokens(self) -> int:
        return round(self.text + self.tools) + IMAGE_TOKENS * self.images

    def corrected(self, ratio: Ratio) -> tuple[int, float, float]:
        """The most likely number of tokens for a model, and the bounds between which it surely is."""
        factor = ratio.factor if ratio.is_trusted else 1.0
        margin = self._margin(ratio)
        least, most = (1.0, 1.0) if ratio.is_trusted else TOOLS_RANGE
        low = (self.text + self.tools * least) * factor / (1 + margin) + IMAGE_RANGE[0] * self.images
        high = (self.text + self.tools * most) * factor * (1 + margin) + IMAGE_RANGE[1] * self.images
        return round((self.text + self.tools) * factor) + IMAGE_TOKENS * self.images, low, high

    def _margin(self, ratio: Ratio) -> float:
        if self.guessed:
            return FOREIGN_MARGIN
        if ratio.is_trusted:
            return min(max(MARGIN, SPREADS * ratio.spread), FOREIGN_MARGIN)
        return FOREIGN_MARGIN if self.foreign else MARGIN


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
        return (await self.counted(tokenizer)).text

    async def counted(self, tokenizer: Tokenizer) -> Count:
        """The same, and what kind of text it is."""
        text = "".join(self._pieces)
        if not text:
            return Count(0)
        found = await tokenizer.counted(text)
        tokens = guess(text) if found is None else found
        foreign = not text.isascii() and len(text.encode("ascii", "ignore")) < (1 - FOREIGN) * len(text)
        return Count(tokens * (self._length / len(text)), foreign=foreign, guessed=found is None)


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
    return (await prompt_count(request, tokenizer)).tokens


async def prompt_count(request: ChatRequest, tokenizer: Tokenizer) -> Count:
    """The same, with all that is known about how far it may be off."""
    sample = _Sample()
    looked_at = request.messages[:MAX_MESSAGES]
    kinds = [_message(message, sample) for message in looked_at]
    share = len(request.messages) / max(len(looked_at), 1)
    counted = await sample.counted(tokenizer)
    tools = _Sample()
    for tool in request.tools:
        tools.add(tool.name)
        tools.add(tool.description or "")
        tools.add(bytes(tool.parameters or b"").decode("utf-8", "replace"))
    return replace(
        counted,
        text=(sum(fixed for fixed, _ in kinds) + counted.text) * share + REPLY_TOKENS,
        tools=await tools.tokens(tokenizer) + TOOL_TOKENS * len(request.tools),
        images=round(sum(images for _, images in kinds) * share),
    )


def _message(message: Message, sample: _Sample) -> tuple[int, int]:
    """Adds the text of a message to a sample; the tokens of all that is not its text, and how many images it has."""
    tokens, images = MESSAGE_TOKENS + TOOL_TOKENS * len(message.tool_calls), 0
    if message.name:
        sample.add(message.name)
    for part in message.parts:
        if isinstance(part, TextPart):
            sample.add(part.text)
        else:
            images += 1
    for call in message.tool_calls:
        sample.add(call.name)
        sample.add(call.arguments)
    return tokens, images

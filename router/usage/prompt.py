"""What a prompt comes to in estimated tokens, and how far that may be off."""

from collections.abc import Iterable

from msgspec import Struct

from router.canonical.request import ChatRequest, Message, TextPart
from router.usage.calibration import FOREIGN, Ratio
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


class Sample:
    """Text to count: the first MAX_CHARS of it, and how long all of it is."""

    def __init__(self, pieces: Iterable[str] = ()) -> None:
        self._pieces: list[str] = []
        self._length = 0
        for piece in pieces:
            self.add(piece)

    def add(self, text: str) -> None:
        """Adds a text that belongs to it."""
        room = MAX_CHARS - self._length
        if room > 0:
            self._pieces.append(text[:room])
        self._length += len(text)

    @property
    def text(self) -> str:
        """The part to count."""
        return "".join(self._pieces)

    @property
    def is_foreign(self) -> bool:
        """Whether much of it is no ASCII."""
        text = self.text
        return not text.isascii() and len(text.encode("ascii", "ignore")) < (1 - FOREIGN) * len(text)

    def tokens(self, counted: int | None) -> float:
        """How many tokens all of the text is when `text` is so many; None goes by the length."""
        kept = min(self._length, MAX_CHARS)
        if not kept:
            return 0.0
        return (guess(self.text) if counted is None else counted) * (self._length / kept)


class Prompt:
    """Samples of the messages and the tools of a request, and what a template adds to them."""

    def __init__(self, request: ChatRequest) -> None:
        self.messages, self.tools = Sample(), Sample()
        looked_at = request.messages[:MAX_MESSAGES]
        kinds = [_message(message, self.messages) for message in looked_at]
        self._share = len(request.messages) / max(len(looked_at), 1)
        self._fixed = sum(fixed for fixed, _ in kinds)
        self._images = round(sum(images for _, images in kinds) * self._share)
        self._tools = len(request.tools)
        for tool in request.tools:
            self.tools.add(tool.name)
            self.tools.add(tool.description or "")
            self.tools.add(bytes(tool.parameters or b"").decode("utf-8", "replace"))

    def count(self, messages: int | None, tools: int | None) -> Count:
        """What the prompt comes to when the samples are so many tokens; None goes by their length."""
        return Count(
            text=(self._fixed + self.messages.tokens(messages)) * self._share + REPLY_TOKENS,
            tools=self.tools.tokens(tools) + TOOL_TOKENS * self._tools,
            images=self._images,
            foreign=self.messages.is_foreign,
            guessed=messages is None,
        )


async def prompt_count(request: ChatRequest, tokenizer: Tokenizer) -> Count:
    """About how many tokens a prompt is, with what a template adds, with tools and images."""
    prompt = Prompt(request)
    return prompt.count(await tokenizer.counted(prompt.messages.text), await tokenizer.counted(prompt.tools.text))


def tokens_wanted(request: ChatRequest) -> int:
    """About how many tokens a request may come to, by the length of its texts and the longest answer it asks for."""
    return Prompt(request).count(None, None).tokens + max(0, request.sampling.max_tokens or 0)


def _message(message: Message, sample: Sample) -> tuple[int, int]:
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

"""What a client asks that wants a text to go on, and not a conversation."""

from collections.abc import Mapping

import msgspec

from router.canonical.request import ChatRequest, Message, TextPart, Wire

Prompt = str | tuple[int, ...]
"""A text, or the ids of its tokens in the model's own vocabulary."""


class CompletionRequest(ChatRequest, frozen=True, kw_only=True):
    """A text completion. Each prompt has `n` answers: choice `i * n + k` is the k-th answer to prompt i.

    `messages` are what a backend that only chats is asked; they are what is counted, too. With a `suffix` the text
    between prompt and suffix is wanted. `infills` is whether it is a gap in somebody's code that is to be filled, which
    a prompt may say in the words of the model alone. `echo` wants each answer to begin with its prompt.
    """

    prompts: tuple[Prompt, ...]
    suffix: str | None = None
    infills: bool = False
    echo: bool = False

    def single(self, place: int) -> "CompletionRequest":
        """The request for one answer to the prompt at this place."""
        return self._of(self.prompts[place])

    @property
    def continues(self) -> bool:
        """Whether an answer that breaks off can go on as the answer to a longer prompt."""
        return len(self.prompts) == 1 and isinstance(self.prompts[0], str) and not self.echo

    def continued(self, text: str, max_tokens: int | None) -> "CompletionRequest":
        """The request for what comes after `text`; `max_tokens` replaces the client's limit."""
        limited = msgspec.structs.replace(self.sampling, max_tokens=max_tokens)
        return msgspec.structs.replace(self._of(f"{self.prompts[0]}{text}"), sampling=limited)

    def _of(self, prompt: Prompt) -> "CompletionRequest":
        fields: Mapping[str, msgspec.Raw] = {
            **{key: raw for key, raw in self.wire.fields.items() if key not in {"n", "best_of"}},
            "prompt": msgspec.Raw(msgspec.json.encode(prompt)),
        }
        return msgspec.structs.replace(
            self,
            prompts=(prompt,),
            messages=spoken((prompt,), self.suffix),
            wire=Wire(self.wire.dialect, fields),
            n=1,
        )

    def longest(self) -> "CompletionRequest":
        """The request for the longest prompt alone: each has a window to itself."""
        if len(self.prompts) == 1:
            return self
        return self.single(max(range(len(self.prompts)), key=lambda place: len(self.prompts[place])))


def spoken(prompts: tuple[Prompt, ...], suffix: str | None) -> tuple[Message, ...]:
    """The prompts as a message of the user. Ids stand for texts of as many tokens."""
    texts = [prompt if isinstance(prompt, str) else " a" * len(prompt) for prompt in prompts]
    return (Message("user", tuple(TextPart(text) for text in (*texts, *((suffix,) if suffix else ())))),)
